// `orch up`: a NATS server and a worker on this machine, in the foreground.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type BusOptions, DEFAULT_SERVER, openBus } from '../../bus/index.ts';
import { env, paths, withConfigFile } from '../../config/index.ts';
import {
  compareVersions,
  LEASE_MS_MAX,
  LEASE_MS_MIN,
  OrchError,
  parseDuration,
  SAFE_SERVER_VERSION,
} from '../../protocol/index.ts';
import { findServer, type ServerBinary, startServer } from '../../server/index.ts';
import { command } from '../command.ts';
import { drain, openLog, startedUnless, stopSignals } from '../daemon.ts';
import { colors, printLine } from '../print.ts';
import { parseInteger } from '../task-flags.ts';
import { configArg, parseWorkerFlags, startDaemon, workerArgs } from '../worker-flags.ts';

const LOOPBACK = ['127.0.0.1', 'localhost', '::1'];

export const up = command({
  details:
    'Stays in the foreground. The first Ctrl-C drains the worker and stops both; the second stops them now.',
  args: {
    ...workerArgs,
    ...configArg,
    port: {
      type: 'string',
      valueHint: 'n',
      description: 'port of the server, 0 = a free one (default 4222)',
    },
    listen: {
      type: 'string',
      valueHint: 'address',
      description: 'address of the server; any but loopback requires a token (default 127.0.0.1)',
    },
    data: {
      type: 'string',
      valueHint: 'folder',
      description: "folder for the server's data (default in the user's data folder)",
    },
    sync: {
      type: 'string',
      valueHint: 'always|duration',
      description: 'sync writes to disk before each acknowledgement, or this often (default always)',
    },
    lease: {
      type: 'string',
      valueHint: 'duration',
      description: 'lease of attempts; fixed at the first start (default 15s)',
    },
    'nats-server': {
      type: 'string',
      valueHint: 'file',
      description: 'nats-server to run (default ORCH_NATS_SERVER, then PATH, then a download)',
    },
    'allow-old-server': {
      type: 'boolean',
      description: `listen beyond loopback also with a nats-server older than ${SAFE_SERVER_VERSION}`,
    },
  },
  examples: ['orch up', 'orch up --caps rust,linux --concurrency 4', 'orch up --listen 0.0.0.0 --sync 1s'],
  async run(args) {
    const flags = withConfigFile(args, args.config, workerArgs);
    const settings = parseWorkerFlags(flags);
    const host = args.listen ?? '127.0.0.1';
    const isLocal = LOOPBACK.includes(host);
    const port = args.port === undefined ? 4222 : parseInteger(args.port, '--port', 0, 65_535);
    const leaseMs =
      args.lease === undefined
        ? undefined
        : parseDuration(args.lease, '--lease', { minMs: LEASE_MS_MIN, maxMs: LEASE_MS_MAX });
    const dataDir = args.data ?? join(paths().data, 'nats');
    const sync = parseSync(args.sync);
    const log = await openLog(flags['log-level'], settings.node);
    const binary = await locateServer(args['nats-server']);
    if (!isLocal && !args['allow-old-server']) refuseOld(binary, host);
    const signals = stopSignals();
    const token = isLocal ? undefined : await tokenIn(dataDir);
    const auth = token === undefined ? {} : { token };
    const server = await startServer({ binary: binary.path, dataDir, host, port, sync, ...auth });
    const closing: (() => Promise<void>)[] = [() => server.stop()];
    try {
      const connection: BusOptions = {
        name: 'orch-up',
        servers: [server.url],
        patient: true,
      };
      const bus = await openBus({ ...connection, ...auth, ...(leaseMs === undefined ? {} : { leaseMs }) });
      closing.unshift(() => bus.close());
      const running = await startedUnless(startDaemon(bus, settings, log), signals, server.exited);
      if (!running) {
        throw new OrchError('unavailable', 'nats-server ended, or did not answer', {
          advice: `see ${join(dataDir, 'nats-server.log')}`,
        });
      }
      printWelcome(binary, server.url, token, dataDir);
      const ended = await Promise.race([signals.first, server.exited, running.daemon.taken]);
      await drain(running, ended === 'signal' ? settings.drainTimeoutMs : 0, signals);
      if (ended instanceof OrchError) throw ended;
      if (ended !== 'signal') {
        throw new OrchError('unavailable', 'nats-server ended', {
          advice: `see ${join(dataDir, 'nats-server.log')}`,
        });
      }
    } finally {
      for (const close of closing) await close();
    }
  },
});

function parseSync(text: string | undefined): string {
  if (text === undefined || text === 'always') return 'always';
  return `${parseDuration(text, '--sync', { minMs: 1, maxMs: 600_000 })}ms`;
}

async function locateServer(flag: string | undefined): Promise<ServerBinary> {
  return findServer({
    given: flag ?? env('ORCH_NATS_SERVER'),
    cacheDir: paths().cache,
    path: env('PATH') ?? '',
    onDownload: () => process.stderr.write('downloading nats-server\n'),
  });
}

function refuseOld({ path, version }: ServerBinary, host: string): void {
  if (compareVersions(version, SAFE_SERVER_VERSION) >= 0) return;
  throw new OrchError(
    'unsupported',
    `nats-server ${version} (${path}) has known vulnerabilities; refusing to listen on ${host}`,
    { advice: `upgrade to ${SAFE_SERVER_VERSION} or newer, or pass --allow-old-server` },
  );
}

// Kept with the data, so that machines that joined can join again after a restart.
async function tokenIn(dataDir: string): Promise<string> {
  const file = join(dataDir, 'token');
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known) return known.trim();
  const token = randomBytes(24).toString('base64url');
  await mkdir(dataDir, { recursive: true });
  await writeFile(file, token, { mode: 0o600 });
  return token;
}

function printWelcome(binary: ServerBinary, url: string, token: string | undefined, dataDir: string): void {
  const { port } = new URL(url);
  const flag = url === DEFAULT_SERVER ? '' : ` -s ${url}`;
  const line = (title: string, text: string) => printLine(`  ${colors.dim(title.padEnd(16))} ${text}`);
  printLine(colors.bold(`orch is up: nats-server ${binary.version} on port ${port}, data in ${dataDir}`));
  if (token !== undefined) line('first', `export NATS_TOKEN=${token}`);
  line('publish', `orch publish-task${flag} --wait hostname`);
  line('watch', `orch events${flag}`);
  line('stop', 'Ctrl-C drains and stops; twice stops now');
  if (token !== undefined) {
    line('second machine', `NATS_TOKEN=${token} orch worker -s nats://${hostname()}:${port} --caps rust`);
    return;
  }
  line('', 'start with --listen 0.0.0.0 to be reachable without ssh');
  line('second machine', `ssh -fNL 4222:127.0.0.1:${port} ${hostname()} && orch worker --caps rust`);
}
