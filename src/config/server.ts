// Which NATS server to use, and with which credentials: flag, then NATS_* variable, then the nats command's context,
// then loopback.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { BusOptions } from '../bus/index.ts';
import {
  LEASE_MS_MAX,
  LEASE_MS_MIN,
  messageOf,
  OrchError,
  parseAs,
  parseDuration,
  quoted,
  withoutCredentials,
} from '../protocol/index.ts';
import { env } from './env.ts';

/** The flags of every command that connects to NATS. */
export interface ServerFlags {
  server?: string | undefined;
  context?: string | undefined;
  creds?: string | undefined;
  nkey?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
  tlscert?: string | undefined;
  tlskey?: string | undefined;
  tlsca?: string | undefined;
  timeout?: string | undefined;
  replicas?: string | undefined;
}

// The file of the nats command; it has more fields than orch reads.
const NatsContext = z.looseObject({
  url: z.string().optional(),
  token: z.string().optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  creds: z.string().optional(),
  nkey: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
  ca: z.string().optional(),
  inbox_prefix: z.string().optional(),
  tls_first: z.boolean().optional(),
  jetstream_domain: z.string().optional(),
});

/** Resolves the options of the connection. Throws `usage` for an invalid flag, variable or context. */
export function resolveServer(flags: ServerFlags): BusOptions {
  const url = flags.server ?? env('NATS_URL');
  const context = readContext(flags.context ?? env('NATS_CONTEXT'), url !== undefined);
  if (context.jetstream_domain) {
    throw new OrchError(
      'usage',
      `the context's jetstream_domain ${quoted(context.jetstream_domain)} is not supported`,
      {
        advice: 'connect to a server within that domain',
      },
    );
  }
  const urls = splitUrls(url ?? context.url);
  const options: BusOptions = {
    ...pick('servers', urls),
    ...pick('token', flags.token ?? env('NATS_TOKEN') ?? context.token),
    ...pick('user', flags.user ?? env('NATS_USER') ?? context.user),
    ...pick('password', flags.password ?? env('NATS_PASSWORD') ?? context.password),
    ...pick('creds', path(flags.creds ?? env('NATS_CREDS') ?? context.creds)),
    ...pick('nkey', path(flags.nkey ?? env('NATS_NKEY') ?? context.nkey)),
    ...pick('tlsCert', path(flags.tlscert ?? env('NATS_CERT') ?? context.cert)),
    ...pick('tlsKey', path(flags.tlskey ?? env('NATS_KEY') ?? context.key)),
    ...pick('tlsCa', path(flags.tlsca ?? env('NATS_CA') ?? context.ca)),
    ...pick('inboxPrefix', context.inbox_prefix || undefined),
    ...pick('tlsFirst', context.tls_first || undefined),
    timeoutMs: parseDuration(flags.timeout ?? '5s', 'server timeout', {
      minMs: 100,
      maxMs: 300_000,
    }),
    ...provisioning(flags.replicas),
  };
  return options;
}

function provisioning(flag: string | undefined): Pick<BusOptions, 'leaseMs' | 'replicas'> {
  const [lease, replicas] = [env('ORCH_LEASE'), flag ?? env('ORCH_REPLICAS')];
  if (replicas !== undefined && !/^[135]$/.test(replicas)) {
    throw new OrchError(
      'usage',
      `${flag === undefined ? 'ORCH_REPLICAS' : '--replicas'} ${quoted(replicas)} is not allowed: use 1, 3 or 5`,
    );
  }
  return {
    ...pick(
      'leaseMs',
      lease === undefined
        ? undefined
        : parseDuration(lease, 'ORCH_LEASE', { minMs: LEASE_MS_MIN, maxMs: LEASE_MS_MAX }),
    ),
    ...pick('replicas', replicas === undefined ? undefined : Number(replicas)),
  };
}

function readContext(named: string | undefined, hasUrl: boolean): z.infer<typeof NatsContext> {
  const folder = join(env('XDG_CONFIG_HOME') ?? join(homedir(), '.config'), 'nats');
  const name = named ?? (hasUrl ? undefined : readText(join(folder, 'context.txt'))?.trim());
  if (!name) return {};
  if (/[/\\]/.test(name))
    throw new OrchError('usage', `context ${quoted(name)} is not a name: it must not contain / or \\`);
  const file = join(folder, 'context', `${name}.json`);
  const text = readText(file);
  if (text === undefined)
    throw new OrchError('usage', `context ${quoted(name)} does not exist: no ${file}`, {
      advice: '`nats context ls` lists them',
    });
  try {
    return parseAs(NatsContext, JSON.parse(text), `context ${file}`);
  } catch (error) {
    throw error instanceof OrchError
      ? error
      : new OrchError('usage', `context ${file} is not valid JSON: ${messageOf(error)}`);
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function splitUrls(urls: string | undefined): string[] | undefined {
  const list = urls
    ?.split(',')
    .map(url => url.trim())
    .filter(Boolean);
  for (const url of list ?? []) {
    if (!/^((nats|tls|ws|wss):\/\/)?([^/@\s]+@)?[^/@\s]+$/.test(url)) {
      throw new OrchError(
        'usage',
        `server ${quoted(withoutCredentials(url))} is not a NATS URL: use nats://host:port`,
      );
    }
  }
  return list?.length ? list : undefined;
}

const path = (text: string | undefined): string | undefined =>
  text?.replace(/^~(?=\/)/, homedir()) || undefined;

// An optional property must be absent rather than undefined.
function pick<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}
