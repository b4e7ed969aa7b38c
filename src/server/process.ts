// Runs a nats-server as a child: on loopback, with JetStream on disk, every write synced before it is acknowledged.
// Promises: `startServer` returns when it accepts clients; `stop` returns when it is gone; a second server on the same
// folder is refused, and so is a taken port, both in one line.
import { randomInt } from 'node:crypto';
import { mkdir, open, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type GuardedProcess, isAlive, startGuarded } from '../process/index.ts';
import { messageOf, OrchError } from '../protocol/index.ts';

/** Which server to run, and where. */
export interface ServerProcessOptions {
  binary: string;
  /** JetStream's folder, the configuration and the log; created when absent. */
  dataDir: string;
  /** Default 4222; 0 takes a free one. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** `always`, or how seldom writes reach the disk, such as `1s`. */
  sync?: string;
  /** What clients must present; default nothing, for loopback. */
  token?: string;
  /** Lines for the configuration file, for a cluster or accounts. */
  extraConfig?: string;
}

/** A server that accepted a client. */
export interface ServerProcess {
  url: string;
  port: number;
  pid: number;
  /** Settles when the process has ended, for any reason. */
  exited: Promise<void>;
  stop(): Promise<void>;
}

const READY_MS = 20_000;
const STOP_MS = 10_000;
/** JetStream may fill this share of the disk that is free: a store that is full heals, a full disk does not. */
const DISK_SHARE = 0.8;
/** Below the ports that Linux, macOS and FreeBSD give to outgoing connections. */
const FREE_PORT_MIN = 20_000;
const FREE_PORT_MAX = 32_767;

/** Starts a server; returns when it accepts clients. Throws an OrchError where the folder or the port is in use. */
export async function startServer(options: ServerProcessOptions): Promise<ServerProcess> {
  const { binary, dataDir, host = '127.0.0.1', sync = 'always', extraConfig = '' } = options;
  await makeFolder(dataDir);
  const unlock = await lockFolder(dataDir);
  try {
    const port = options.port === 0 ? await freePort() : (options.port ?? 4222);
    await checkPort(host, port);
    const config = join(dataDir, 'nats-server.conf');
    const log = join(dataDir, 'nats-server.log');
    const { bavail, bsize } = await statfs(dataDir);
    await writeFile(
      config,
      [
        `listen: ${JSON.stringify(`${host}:${port}`)}`,
        `server_name: ${JSON.stringify(`orch-${port}`)}`,
        `log_file: ${JSON.stringify(log)}`,
        `logfile_size_limit: ${16 * 1024 ** 2}`,
        'jetstream {',
        `  store_dir: ${JSON.stringify(dataDir)}`,
        `  sync_interval: ${sync}`,
        `  max_file_store: ${Math.floor(bavail * bsize * DISK_SHARE)}`,
        `  max_memory_store: ${1024 ** 3}`,
        '}',
        ...(options.token === undefined ? [] : [`authorization { token: ${JSON.stringify(options.token)} }`]),
        extraConfig,
        '',
      ].join('\n'),
      // It may hold the token.
      { mode: 0o600 },
    );
    const stderr = await open(`${log}.stderr`, 'w');
    // In a process group of its own, Ctrl-C does not reach it: orch drains first and stops the server last.
    const server = startGuarded({
      command: [binary, '-c', config],
      stdio: ['ignore', 'ignore', stderr.fd],
      stops: 'command',
      graceMs: STOP_MS,
    });
    await stderr.close();
    // The folder is free when the server is reported as ended.
    const exited = server.ended.then(unlock);
    // An address that means all of them is reached on loopback.
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    await ready(server, exited, reachable, port, log);
    return {
      url: `nats://${reachable}:${port}`,
      port,
      pid: server.pid,
      exited,
      stop: async () => {
        await server.stop();
        await exited;
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function makeFolder(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true });
    await writeFile(join(dataDir, '.writable'), '');
    await rm(join(dataDir, '.writable'));
  } catch (error) {
    throw new OrchError('usage', `data folder ${dataDir} is not writable: ${messageOf(error)}`, {
      advice: 'pass another folder with --data',
    });
  }
}

// The lock names its process, so that one left behind by a crash is recognised.
async function lockFolder(dataDir: string): Promise<() => Promise<void>> {
  const path = join(dataDir, 'orch.lock');
  for (let tries = 0; tries < 3; tries++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = Number(await readFile(path, 'utf8').catch(() => ''));
      if (pid > 0 && isAlive(pid)) {
        throw new OrchError('usage', `data folder ${dataDir} is in use by process ${pid}`, {
          advice: 'stop it, or pass another folder with --data',
        });
      }
      await rm(path, { force: true });
    }
  }
  throw new OrchError('usage', `data folder ${dataDir} is being locked by another process`);
}

async function checkPort(host: string, port: number): Promise<void> {
  try {
    await probe(host, port);
  } catch (error) {
    const why = isTaken(error) ? 'the port is taken' : messageOf(error);
    throw new OrchError('unavailable', `cannot listen on ${host}:${port}: ${why}`, {
      advice: 'use another port with --port, or join the server that runs there with `orch worker -s`',
    });
  }
}

/** A port on loopback that is free now, and that the system gives to no connection before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_PORT_MIN, FREE_PORT_MAX + 1);
    try {
      await probe('127.0.0.1', port);
      return port;
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

/** So many different ones. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

const probe = (host: string, port: number) =>
  new Promise<void>((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(port, host, () => server.close(() => resolve()));
  });

const isTaken = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EADDRINUSE';

async function ready(
  server: GuardedProcess,
  exited: Promise<void>,
  host: string,
  port: number,
  log: string,
): Promise<void> {
  const deadline = Date.now() + READY_MS;
  let gone = false;
  void exited.then(() => {
    gone = true;
  });
  while (!(await accepts(host, port))) {
    if (gone || Date.now() > deadline) {
      const failure = gone ? 'ended at once' : `was not ready in ${READY_MS / 1000}s`;
      await server.stop();
      const tail = (await lastLine(`${log}.stderr`)) || (await lastLine(log));
      throw new OrchError('unavailable', `nats-server ${failure}: ${tail}`, { advice: `see ${log}` });
    }
    await sleep(20);
  }
}

async function lastLine(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim().split('\n').at(-1) ?? '';
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTcp(port, host)
      .once('data', () => settle(true))
      .once('error', () => settle(false))
      .setTimeout(1_000, () => settle(false));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
  });
}
