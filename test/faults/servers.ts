// The nats-servers of a run: one, or three that are one cluster, each on a small file system of its own where the
// runner may mount one, so that its disk can be filled.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../src/server/index.ts';
import { Child } from './child.ts';

const READY_MS = 60_000;
const STOP_MS = 30_000;
/** Above the sum of the bounds of all streams that orch creates. The disk itself is smaller, so that it can be full. */
const FILE_STORE_MAX = '20GB';

export interface ServersOptions {
  binary: string;
  count: 1 | 3;
  /** Where their folders are made. */
  root: string;
  logs: string;
  env: NodeJS.ProcessEnv;
  /** Size of each one's file system. */
  diskBytes: number;
}

interface Member {
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly config: string;
  child: Child | undefined;
}

export class Servers {
  readonly #options: ServersOptions;
  readonly #members: Member[] = [];
  readonly #mounts: { folder: string; guard: ChildProcess }[] = [];
  /** Why no disk can be filled; undefined where it can. */
  noDisk: string | undefined;

  private constructor(options: ServersOptions) {
    this.#options = options;
  }

  /** Returns when all accept clients. */
  static async start(options: ServersOptions): Promise<Servers> {
    const servers = new Servers(options);
    const { count, root } = options;
    const ports = await freePorts(2 * count);
    const routes = ports.slice(count).map(port => `nats://127.0.0.1:${port}`);
    for (const [index, port] of ports.slice(0, count).entries()) {
      const name = `server-${index}`;
      const folder = join(root, name);
      mkdirSync(folder, { recursive: true });
      servers.#mount(folder);
      const config = join(root, `${name}.conf`);
      // Clients must not be told of each other's addresses: each reaches a server through its own link.
      const cluster =
        count === 1
          ? ''
          : `cluster { name: faults, listen: "127.0.0.1:${ports[count + index]}", routes: ${JSON.stringify(routes)}, no_advertise: true }`;
      writeFileSync(
        config,
        [
          `listen: "127.0.0.1:${port}"`,
          `server_name: ${name}`,
          'jetstream {',
          `  store_dir: ${JSON.stringify(folder)}`,
          '  sync_interval: always',
          `  max_file_store: ${FILE_STORE_MAX}`,
          '}',
          cluster,
        ].join('\n'),
      );
      servers.#members.push({ name, port, folder, config, child: undefined });
    }
    await Promise.all(servers.#members.map(({ name }) => servers.begin(name)));
    return servers;
  }

  get urls(): string[] {
    return this.#members.map(({ port }) => `nats://127.0.0.1:${port}`);
  }

  get names(): string[] {
    return this.#members.map(({ name }) => name);
  }

  isRunning(name: string): boolean {
    const { child } = this.#member(name);
    return child !== undefined && child.exit === undefined;
  }

  /** Starts it where it does not run; returns when it accepts clients. */
  async begin(name: string): Promise<void> {
    const member = this.#member(name);
    if (this.isRunning(name)) return;
    const { binary, env, logs } = this.#options;
    const child = new Child([binary, '-c', member.config], { env, logFile: join(logs, `${name}.log`) });
    member.child = child;
    for (const deadline = Date.now() + READY_MS; !(await accepts(member.port)); await sleep(50)) {
      if (child.exit || Date.now() > deadline)
        throw new Error(`${name} did not start, see ${join(logs, `${name}.log`)}`);
    }
  }

  /** Ends it; returns when it is gone. One that does not end on SIGTERM is killed. */
  async end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this.#member(name);
    if (!child) return;
    child.kill(signal);
    if (!(await child.endsWithin(STOP_MS))) child.kill('SIGKILL');
    await child.exited;
  }

  /** Fills the disk of a server. */
  fill(name: string): void {
    const { folder } = this.#member(name);
    const { bavail, bsize } = statfsSync(folder);
    // Beyond what is free: what is written until the error is what fills it.
    const blocks = String(Math.ceil((bavail * bsize) / 2 ** 20) + 1);
    try {
      execFileSync('dd', ['if=/dev/zero', `of=${fillerOf(folder)}`, 'bs=1M', `count=${blocks}`], {
        stdio: 'ignore',
      });
    } catch {
      // "No space left on device" is what was wanted.
    }
  }

  free(name: string): void {
    rmSync(fillerOf(this.#member(name).folder), { force: true });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#members.map(({ name }) => this.end(name, 'SIGKILL')));
    for (const { guard } of this.#mounts) {
      guard.stdin?.end();
      await new Promise(resolve => (guard.exitCode === null ? guard.once('exit', resolve) : resolve(0)));
    }
  }

  // Also unmounted when the runner dies: then the pipe closes.
  #mount(folder: string): void {
    try {
      const size = `size=${this.#options.diskBytes}`;
      execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'orch-faults', folder], { stdio: 'pipe' });
    } catch (error) {
      this.noDisk = `cannot mount a small file system: ${(error as Error).message.split('\n').at(-1)}`;
      return;
    }
    const unmount = 'trap "" INT TERM HUP; read -r _; umount -l "$1"';
    const guard = spawn('/bin/sh', ['-c', unmount, 'orch', folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#mounts.push({ folder, guard });
  }

  #member(name: string): Member {
    const member = this.#members.find(known => known.name === name);
    if (!member) throw new Error(`no server ${name}`);
    return member;
  }
}

const fillerOf = (folder: string): string => join(folder, 'filler');

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    const socket = connectTcp(port, '127.0.0.1')
      .once('data', () => settle(true))
      .once('error', () => settle(false))
      .setTimeout(1_000, () => settle(false));
  });
}
