// How a command reaches NATS: the flags, and a bus that is closed whatever happens.
import { type Bus, type BusOptions, openBus } from '../bus/index.ts';
import { defaultActor, env, resolveServer, type ServerFlags } from '../config/index.ts';
import { parseId } from '../protocol/index.ts';

const serverArgs = {
  server: {
    type: 'string',
    alias: 's',
    valueHint: 'url',
    description: 'NATS server URLs (NATS_URL; default nats://127.0.0.1:4222)',
  },
  context: { type: 'string', valueHint: 'name', description: 'natscli context (NATS_CONTEXT)' },
  creds: { type: 'string', valueHint: 'file', description: 'credentials file (NATS_CREDS)' },
  nkey: { type: 'string', valueHint: 'file', description: 'nkey seed file (NATS_NKEY)' },
  user: { type: 'string', valueHint: 'name', description: 'user (NATS_USER)' },
  password: { type: 'string', valueHint: 'text', description: 'password (NATS_PASSWORD, better)' },
  token: { type: 'string', valueHint: 'text', description: 'token (NATS_TOKEN, better)' },
  tlscert: { type: 'string', valueHint: 'file', description: 'TLS certificate (NATS_CERT)' },
  tlskey: { type: 'string', valueHint: 'file', description: 'TLS key (NATS_KEY)' },
  tlsca: { type: 'string', valueHint: 'file', description: 'TLS authority (NATS_CA)' },
} as const;

const timeoutArg = {
  type: 'string',
  valueHint: 'duration',
  description: 'how long the server may take to answer (default 5s)',
} as const;

/** For commands that may be the first to use a server. */
export const provisionArgs = {
  replicas: {
    type: 'string',
    valueHint: 'n',
    description:
      'copies of each stream that is created: 1, or 3 or 5 on a cluster (ORCH_REPLICAS; default 1)',
  },
} as const;

/** Flags of every command that talks to NATS. */
export const connectionArgs = { ...serverArgs, timeout: timeoutArg } as const;

/** The same where `--timeout` is the time limit of a task. */
export const taskConnectionArgs = { ...serverArgs, 'server-timeout': timeoutArg } as const;

export const jsonArg = { json: { type: 'boolean', description: 'print JSON for programs' } } as const;

export const actorArg = {
  as: { type: 'string', valueHint: 'name', description: 'who acts (ORCH_ACTOR; default this user)' },
} as const;

/** Connects, runs, closes. */
export async function withBus<T>(
  flags: ServerFlags,
  use: (bus: Bus) => Promise<T>,
  extra: BusOptions = {},
): Promise<T> {
  const bus = await openBus({ name: 'orch-cli', ...resolveServer(flags), ...extra });
  try {
    return await use(bus);
  } finally {
    await bus.close();
  }
}

/** Who acts: the flag, ORCH_ACTOR, or the user of this process. Throws `usage`. */
export function actorOf(flags: { as?: string | undefined }): string {
  const named = flags.as ?? env('ORCH_ACTOR');
  if (named !== undefined) return parseId(named, 'actor');
  return defaultActor();
}

/** A signal that aborts at Ctrl-C, for commands that follow something. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
