// The connection to NATS: who we are, where the server is, what it must be able to do.
// Promises: a server that is too old or has no JetStream is refused here, in one line with what was found and
// what is needed. Never: a password, token or seed in a message or a log.
import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import {
  compareVersions,
  credentialsIn,
  messageOf,
  OrchError,
  SERVER_VERSION_MIN,
  withoutCredentials,
} from '../protocol/index.ts';
import { toOrchError } from './errors.ts';

/** Where a server is and who is calling. */
export interface ServerOptions {
  /** URLs; default `nats://127.0.0.1:4222`. One may carry a user and password, or a token, as `nats://user:password@host`. */
  servers?: readonly string[];
  /** With `password`; as in a URL. */
  user?: string;
  /** With `user`; as in a URL. */
  password?: string;
  /** In place of user and password; as in a URL. */
  token?: string;
  /** Path of a `.creds` file. */
  creds?: string;
  /** Path of a file with an nkey seed. */
  nkey?: string;
  /** Path of this client's certificate, a PEM file. */
  tlsCert?: string;
  /** Path of the key of that certificate, a PEM file. */
  tlsKey?: string;
  /** Path of the authority that the server's certificate is checked against, a PEM file; default: those of Node. */
  tlsCa?: string;
  /** Start with the TLS handshake, as a server with `handshake_first` wants it; default false. */
  tlsFirst?: boolean;
  /** What the subjects of replies begin with; default `_INBOX`. */
  inboxPrefix?: string;
  /** Shown in the server's list of connections. */
  name?: string;
  /** How long a first connection and a request may take, in milliseconds; default 5,000. */
  timeoutMs?: number;
  /** Retry the first connection too, for as long as it takes: for daemons; default false. */
  patient?: boolean;
}

export const DEFAULT_SERVER = 'nats://127.0.0.1:4222';
export const REQUEST_TIMEOUT_MS = 5_000;

/** The largest message that the server takes, in bytes: its `max_payload`. */
export const payloadBytesMax = (nc: NatsConnection): number => nc.info?.max_payload ?? 1024 * 1024;

/** Connects and checks the server. Throws `unavailable`, `unsupported`, `denied` or `usage`. */
export async function connectToServer(options: ServerOptions): Promise<NatsConnection> {
  const servers = options.servers?.length ? [...options.servers] : [DEFAULT_SERVER];
  let nc: NatsConnection;
  try {
    nc = await connect(connectionOptions(servers, options));
  } catch (error) {
    const failure = toOrchError(error, `cannot connect to ${servers.map(withoutCredentials).join(', ')}`);
    throw failure.code === 'unavailable'
      ? new OrchError('unavailable', failure.message, {
          advice: 'start one with `orch up`, or name another with -s/--server',
          cause: error,
        })
      : failure;
  }
  try {
    checkServer(nc);
  } catch (error) {
    await nc.close();
    throw error;
  }
  return nc;
}

function connectionOptions(servers: string[], given: ServerOptions): NodeConnectionOptions {
  const options = { ...credentialsOf(servers), ...given };
  const { timeoutMs = REQUEST_TIMEOUT_MS, patient = false } = options;
  const connection: NodeConnectionOptions = {
    servers: servers.map(withoutCredentials),
    name: options.name ?? 'orch',
    timeout: timeoutMs,
    noAsyncTraces: true,
    // A lost server is waited for; a command gives up when its own request runs out of time.
    maxReconnectAttempts: -1,
    waitOnFirstConnect: patient,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    inboxPrefix: options.inboxPrefix ?? '_INBOX',
  };
  if (options.token !== undefined) connection.token = options.token;
  if (options.user !== undefined) connection.user = options.user;
  if (options.password !== undefined) connection.pass = options.password;
  const authenticators = credentialAuthenticators(options);
  if (authenticators.length > 0) connection.authenticator = authenticators;
  if (options.tlsCert || options.tlsKey || options.tlsCa || options.tlsFirst) {
    connection.tls = {
      ...(options.tlsCert ? { certFile: readable(options.tlsCert, 'TLS certificate') } : {}),
      ...(options.tlsKey ? { keyFile: readable(options.tlsKey, 'TLS key') } : {}),
      ...(options.tlsCa ? { caFile: readable(options.tlsCa, 'TLS authority') } : {}),
      ...(options.tlsFirst ? { handshakeFirst: true } : {}),
    };
  }
  return connection;
}

// The client ignores the credentials of a URL; the first URL that carries some provides them.
function credentialsOf(servers: string[]): Pick<ServerOptions, 'user' | 'password' | 'token'> {
  for (const server of servers) {
    const found = credentialsIn(server);
    if (found) return found;
  }
  return {};
}

// Files are read again at each connect, so that rotated credentials work after a reconnect.
function credentialAuthenticators(options: ServerOptions): Authenticator[] {
  const list: Authenticator[] = [];
  const { creds, nkey } = options;
  if (creds !== undefined) {
    readable(creds, 'credentials file');
    list.push(nonce => credsAuthenticator(readFileSync(creds))(nonce));
  }
  if (nkey !== undefined) {
    readable(nkey, 'nkey file');
    list.push(nonce => nkeyAuthenticator(Buffer.from(readFileSync(nkey, 'utf8').trim()))(nonce));
  }
  return list;
}

function readable(path: string, what: string): string {
  try {
    readFileSync(path);
    return path;
  } catch (error) {
    throw new OrchError('usage', `${what} ${path} cannot be read: ${messageOf(error)}`);
  }
}

function checkServer(nc: NatsConnection): void {
  const version = nc.info?.version ?? 'unknown';
  if (compareVersions(version, SERVER_VERSION_MIN) < 0) {
    throw new OrchError(
      'unsupported',
      `nats-server ${version} at ${nc.getServer()} is too old, ${SERVER_VERSION_MIN} or newer is needed`,
      {
        advice: 'upgrade it, or let `orch up` bring its own',
      },
    );
  }
  if (!nc.info?.jetstream) {
    throw new OrchError(
      'unsupported',
      `nats-server ${version} at ${nc.getServer()} has no JetStream, which orch needs`,
      {
        advice: 'start it with -js, or let `orch up` bring its own',
      },
    );
  }
}
