// The world of a run: servers, workers and publishers as real processes of the built command, each behind links of its
// own. The one file that knows the command's flags and variables.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Link } from '../support/link.ts';
import { Child, type Exit } from './child.ts';
import {
  DRAIN_TIMEOUT_MS,
  EXPIRY_MS,
  GRACE_MS,
  HEARTBEAT_MS,
  LEASE_MS,
  NODES,
  type Node,
  OPERATOR,
  PUBLISHERS,
} from './fleet.ts';
import { Servers } from './servers.ts';

/** What a process needs beside the time-outs that it was given: to end a handler, to write, to be scheduled. */
const STOP_ALLOWANCE_MS = 15_000;
const SECOND_SIGNAL_MS = 500;
/** One that is still there is killed, so that the run goes on. */
const STOP_MS_MAX = 60_000;
const COMMAND_MS_MAX = 60_000;

/** A time in which something was done to a node, in milliseconds since 1970. */
export interface Spell {
  node: string;
  what: 'killed' | 'paused' | 'stopped';
  from: number;
  to: number;
}

/** A daemon that was stopped, and how long that took. */
export interface Stop {
  node: string;
  signals: string;
  tookMs: number;
  boundMs: number;
}

/** A daemon that ended without being stopped. */
export interface Death {
  node: string;
  at: number;
  exit: Exit;
}

export interface WorldOptions {
  /** The built command. */
  main: string;
  /** Where handler, script and preload lie. */
  tasks: string;
  natsServer: string;
  servers: 1 | 3;
  /** The folder of this run. */
  root: string;
  diskBytes: number;
  /** In the environment of all that the run starts. */
  cookie: string;
  report(line: string): void;
}

interface WorkerState {
  node: Node;
  child: Child | undefined;
  /** True while it should run. */
  isWanted: boolean;
}

export class World {
  readonly spells: Spell[] = [];
  readonly stops: Stop[] = [];
  readonly deaths: Death[] = [];
  readonly servers: Servers;
  readonly logs: string;
  readonly #options: WorldOptions;
  readonly #workers = new Map<string, WorkerState>();
  readonly #links = new Map<string, Link[]>();

  private constructor(options: WorldOptions, servers: Servers) {
    this.#options = options;
    this.servers = servers;
    this.logs = logsOf(options.root);
  }

  /** Servers that accept clients, and links to them; no daemon yet. */
  static async create(options: WorldOptions): Promise<World> {
    const { root, natsServer: binary, servers: count, diskBytes, cookie } = options;
    for (const folder of ['logs', 'ran', 'clocks', 'homes'])
      mkdirSync(join(root, folder), { recursive: true });
    const env = { PATH: process.env['PATH'], FAULTS_RUN: cookie };
    const servers = await Servers.start({ binary, count, root, logs: logsOf(root), env, diskBytes });
    const world = new World(options, servers);
    for (const client of [...NODES.map(({ id }) => id), ...PUBLISHERS])
      world.#links.set(client, await Promise.all(servers.urls.map(url => Link.to(url))));
    return world;
  }

  /** The links of a worker or a publisher: all, or the one to a server. */
  links(client: string, only?: number): Link[] {
    const all = this.#links.get(client) ?? [];
    return only === undefined ? all : all.slice(only, only + 1);
  }

  startWorker(id: string): void {
    const node = nodeOf(id);
    const { main, tasks, servers } = this.#options;
    const runner =
      node.runner === 'handler'
        ? ['--handler', join(tasks, 'handler.js')]
        : ['--exec', `sh ${join(tasks, 'exec.sh')}`];
    const words = [
      ...['worker', '--node', id, '--caps', node.capabilities.join(',')],
      ...['--concurrency', String(node.concurrency), ...runner],
      ...['--heartbeat', `${HEARTBEAT_MS}ms`, '--expiry', `${EXPIRY_MS}ms`],
      ...['--drain-timeout', `${DRAIN_TIMEOUT_MS}ms`, '--grace', `${GRACE_MS}ms`],
      ...['--replicas', String(servers)],
    ];
    const child = new Child([process.execPath, main, ...words], {
      env: {
        ...this.#environment(id, this.links(id)),
        NODE_OPTIONS: `--import ${pathToFileURL(join(tasks, 'clock.js')).href}`,
        FAULTS_RAN: this.#ranFile(id),
        FAULTS_CLOCK: this.#clockFile(id),
      },
      logFile: this.logFile(id),
    });
    const state: WorkerState = { node, child, isWanted: true };
    this.#workers.set(id, state);
    void child.exited.then(exit => {
      if (!state.isWanted) return;
      this.deaths.push({ node: id, at: Date.now(), exit });
      this.#options.report(`${id} ENDED BY ITSELF with ${exit.signal ?? `code ${exit.code}`}`);
      this.startWorker(id);
    });
  }

  /** `kill -9`; returns when it is gone. */
  async killWorker(id: string): Promise<void> {
    const state = this.#worker(id);
    state.isWanted = false;
    const spell = this.#begin(id, 'killed');
    state.child?.kill('SIGKILL');
    await state.child?.exited;
    spell.to = Date.now();
  }

  /** SIGTERM, and soon another one; returns when it is gone, and records how long that took. */
  async stopWorker(id: string, { isTwice = false } = {}): Promise<void> {
    const state = this.#worker(id);
    const { child } = state;
    if (!child || child.exit) return;
    state.isWanted = false;
    const spell = this.#begin(id, 'stopped');
    const began = performance.now();
    child.kill('SIGTERM');
    if (isTwice && !(await child.endsWithin(SECOND_SIGNAL_MS))) child.kill('SIGTERM');
    const exit = await child.endsWithin(STOP_MS_MAX);
    const tookMs = Math.round(performance.now() - began);
    const boundMs = (isTwice ? SECOND_SIGNAL_MS : DRAIN_TIMEOUT_MS) + GRACE_MS + STOP_ALLOWANCE_MS;
    this.stops.push({ node: id, signals: isTwice ? 'TERM TERM' : 'TERM', tookMs, boundMs });
    if (!exit) child.kill('SIGKILL');
    await child.exited;
    spell.to = Date.now();
  }

  /** SIGSTOP. Returns what lets it go on. */
  pauseWorker(id: string): () => void {
    const { child } = this.#worker(id);
    const spell = this.#begin(id, 'paused');
    child?.kill('SIGSTOP');
    return () => {
      child?.kill('SIGCONT');
      spell.to = Date.now();
    };
  }

  /** Shifts a worker's clock, as far as it reads it. */
  setClock(id: string, byMs: number): void {
    writeFileSync(this.#clockFile(id), String(byMs));
  }

  isWorkerRunning(id: string): boolean {
    const child = this.#workers.get(id)?.child;
    return child !== undefined && child.exit === undefined;
  }

  /** A publisher that reads lines of tasks from its stdin and prints a line of JSON for each that is acknowledged. */
  startPublisher(name: string): Child {
    const words = ['publish-task', '--from', '-', '--json', '--as', name];
    return new Child([process.execPath, this.#options.main, ...words, ...this.#replicas()], {
      env: this.#environment(name, this.links(name)),
      logFile: this.logFile(name),
      isPiped: true,
    });
  }

  cancel(ids: readonly string[]): Promise<string> {
    return this.#command(['cancel', '--json', '--as', OPERATOR, ...ids]);
  }

  retry(ids: readonly string[]): Promise<string> {
    return this.#command(['retry', '--json', '--as', OPERATOR, ...ids]);
  }

  /** All tasks as `orch tasks` lists them. */
  list(): Promise<string> {
    return this.#command(['tasks', '--json']);
  }

  /** What each worker recorded of the attempts that it began: `<id> <attempt>` a line. */
  ran(): Map<string, string[]> {
    return new Map(NODES.map(({ id }) => [id, linesOf(this.#ranFile(id))]));
  }

  logFile(name: string): string {
    return join(this.logs, `${name}.log`);
  }

  logOf(name: string): string[] {
    return linesOf(this.logFile(name));
  }

  /** Ends the links and the servers, and kills what daemons are left. */
  async dispose(): Promise<void> {
    for (const state of this.#workers.values()) {
      state.isWanted = false;
      state.child?.kill('SIGKILL');
    }
    await Promise.all([...this.#links.values()].flat().map(link => link[Symbol.asyncDispose]()));
    await this.servers.dispose();
  }

  // What it printed, whatever its exit code; empty when it did not end.
  async #command(words: readonly string[]): Promise<string> {
    const { main } = this.#options;
    const child = new Child([process.execPath, main, ...words], {
      env: { ...this.#environment(OPERATOR, []), NATS_URL: this.servers.urls.join(',') },
      logFile: this.logFile(OPERATOR),
      isPiped: true,
    });
    child.stdin.end();
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      printed += text;
    });
    const closed = new Promise(resolve => child.stdout.once('close', resolve));
    const exit = await child.endsWithin(COMMAND_MS_MAX);
    if (!exit) {
      appendFileSync(this.logFile(OPERATOR), `${words.join(' ')} did not end\n`);
      child.kill('SIGKILL');
    }
    await closed;
    return printed;
  }

  #replicas(): string[] {
    return ['--replicas', String(this.#options.servers)];
  }

  #environment(name: string, links: readonly Link[]): NodeJS.ProcessEnv {
    const home = join(this.#options.root, 'homes', name);
    return {
      PATH: process.env['PATH'],
      HOME: home,
      XDG_DATA_HOME: join(home, 'data'),
      XDG_CONFIG_HOME: join(home, 'config'),
      NATS_URL: links.map(({ url }) => url).join(','),
      ORCH_LEASE: `${LEASE_MS}ms`,
      FAULTS_RUN: this.#options.cookie,
    };
  }

  #begin(node: string, what: Spell['what']): Spell {
    const spell: Spell = { node, what, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.spells.push(spell);
    return spell;
  }

  #worker(id: string): WorkerState {
    const state = this.#workers.get(id);
    if (!state) throw new Error(`worker ${id} was never started`);
    return state;
  }

  #ranFile(id: string): string {
    return join(this.#options.root, 'ran', id);
  }

  #clockFile(id: string): string {
    return join(this.#options.root, 'clocks', id);
  }
}

const logsOf = (root: string): string => join(root, 'logs');

function nodeOf(id: string): Node {
  const node = NODES.find(known => known.id === id);
  if (!node) throw new Error(`no node ${id}`);
  return node;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
