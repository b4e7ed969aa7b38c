// How a command reaches NATS: the flags, and a connection that is closed however the command ends.
import { type Bus, type BusOptions, openBus } from '../bus/index.ts';
import { defaultActor, env, resolveServer, type ServerFlags } from '../config/index.ts';
import { parseId } from '../protocol/index.ts';

const serverArgs = {
  server: {
    type: 'string',
    alias: 's',
    valueHint: 'url',
    description: 'NATS server URLs (default NATS_URL, then the context, then nats://127.0.0.1:4222)',
  },
  context: {
    type: 'string',
    valueHint: 'name',
    description: 'context of the nats command (default NATS_CONTEXT, then the selected one)',
  },
  creds: { type: 'string', valueHint: 'file', description: 'credentials file (default NATS_CREDS)' },
  nkey: { type: 'string', valueHint: 'file', description: 'nkey seed file (default NATS_NKEY)' },
  user: { type: 'string', valueHint: 'name', description: 'user (default NATS_USER)' },
  password: {
    type: 'string',
    valueHint: 'text',
    description: 'password; better set NATS_PASSWORD, its default',
  },
  token: { type: 'string', valueHint: 'text', description: 'token; better set NATS_TOKEN, its default' },
  tlscert: { type: 'string', valueHint: 'file', description: 'TLS certificate (default NATS_CERT)' },
  tlskey: { type: 'string', valueHint: 'file', description: 'TLS key (default NATS_KEY)' },
  tlsca: { type: 'string', valueHint: 'file', description: 'TLS authority (default NATS_CA)' },
} as const;

const timeoutArg = {
  type: 'string',
  valueHint: 'duration',
  description: 'time limit for an answer of the server (default 5s)',
} as const;

/** For commands that may be the first to use a server. */
export const provisionArgs = {
  replicas: {
    type: 'string',
    valueHint: 'n',
    description:
      'replicas of each stream that is created: 1, or 3 or 5 on a cluster (default ORCH_REPLICAS, then 1)',
  },
} as const;

/** Flags of every command that talks to NATS. */
export const connectionArgs = { ...serverArgs, timeout: timeoutArg } as const;

/** The same where `--timeout` is the time limit of a task. */
export const taskConnectionArgs = { ...serverArgs, 'server-timeout': timeoutArg } as const;

export const jsonArg = { json: { type: 'boolean', description: 'print JSON' } } as const;

export const actorArg = {
  as: {
    type: 'string',
    valueHint: 'name',
    description: 'actor, for the journal (default ORCH_ACTOR, then this user)',
  },
} as const;

/** Connects, calls `use`, and closes the connection. */
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

/** The actor: the flag, ORCH_ACTOR, or the user of this process. Throws `usage`. */
export function actorOf(flags: { as?: string | undefined }): string {
  const named = flags.as ?? env('ORCH_ACTOR');
  if (named !== undefined) return parseId(named, 'actor');
  return defaultActor();
}

/** A signal that aborts at Ctrl-C or SIGTERM, for commands that follow something. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
