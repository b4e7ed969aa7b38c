// A node in the user's own process: what it is given, and what it is once it runs.
import type { Bus } from '../bus/index.ts';
import { environment } from '../config/index.ts';
import { Daemon, execRunner, handlerRunner, type Logger } from '../daemon/index.ts';
import type { Embedder } from '../memory/index.ts';
import type { OrchError } from '../protocol/index.ts';
import type { NodeState, TaskRecord, Visibility } from './shapes.ts';

/** A claimed task, as its handler gets it. */
export interface HandlerTask {
  /** Its id. */
  id: string;
  /** Which attempt this is, from 1. */
  attempt: number;
  /** The value that was published. */
  input: unknown;
  /** Its record at the claim. */
  record: TaskRecord;
}

/** What a handler gets beside its task. */
export interface HandlerContext {
  /** The node that it runs on. */
  readonly node: string;
  /** The agent that is on the task, where the node owns agents and one was free. */
  readonly agent: string | undefined;
  /** W3C trace context of this attempt. */
  readonly traceparent: string;
  /** Aborts on timeout, stall, cancel, lost lease and drain; its reason is an AttemptStopped. */
  readonly signal: AbortSignal;
  /** Prints a line to the task's output. */
  log(text: string): void;
  /** Reports progress: a line of output that also shows that the attempt has not stalled. */
  progress(text: string): void;
}

/**
 * Runs a task in this process. What it returns is the result, as JSON of at most 64 MiB; what it throws fails the
 * attempt, except TryLater, which gives the task back unharmed. It must end within 5 seconds after its signal aborts.
 */
export type Handler = (task: HandlerTask, context: HandlerContext) => unknown;

/** A command that runs each task as a process group of its own, with the input on its stdin. */
export interface CommandOptions {
  /** For `/bin/sh -c`. Exit code 0 is done, 75 gives the task back unharmed, all others fail the attempt. */
  command: string;
  /** Where each attempt gets a folder, which is made. */
  workDir: string;
  /** Its environment, of which NATS_* and ORCH_* are left out; default: that of this process. */
  env?: Record<string, string | undefined>;
  /** From SIGTERM to SIGKILL for a command that is stopped, in milliseconds; default 10,000. */
  graceMs?: number;
  /** Leave the folders behind; default false. */
  keepWork?: boolean;
}

/** An agent that a node is to own. */
export interface AgentOptions {
  /** Its name in the cluster: letters, digits, `_` and `-`, at most 64 characters. */
  id: string;
  /** Who may read its memory; default `isolated`. */
  visibility?: Visibility;
  /** The group that may, where visibility is `group`. */
  group?: string;
}

/** What a node is given, apart from what runs its tasks. */
export interface NodeOptions {
  /** Its name; default: the host's name and the process id. */
  node?: string;
  /** What it can do, at most 64 words; default none: it runs tasks that need nothing. */
  capabilities?: readonly string[];
  /** Attempts at once, 1 to 1,000; default 1. */
  concurrency?: number;
  /** The agents that it is to own, at most 256; default none. */
  agents?: readonly AgentOptions[];
  /** Where the memories of its agents are, and what finds by meaning in them; default: they have none. */
  memory?: { dir: string; embedder?: Embedder };
  /** Free key and value pairs, at most 32. */
  labels?: Record<string, string>;
  /** Between two heartbeats, in milliseconds; default 5,000. */
  heartbeatMs?: number;
  /** How long it may be silent before it is lost, in milliseconds; default 15,000. */
  expiryMs?: number;
  /** How long running tasks get to finish when it drains, in milliseconds; default 30,000. */
  drainTimeoutMs?: number;
  /** Default: it logs nothing. */
  logger?: Logger;
}

/** What a node is given: a function or a command to run its tasks. */
export type WorkerOptions = NodeOptions & ({ handler: Handler } | { exec: CommandOptions });

/** How long to wait for running tasks. */
export interface DrainOptions {
  /** In milliseconds; 0 gives them back at once; default: the node's `drainTimeoutMs`. */
  timeoutMs?: number;
}

/** A node that runs in this process. It is an async disposable: leaving its scope stops it. */
export interface RunningWorker {
  /** Its name. */
  readonly node: string;
  /** Its state now. */
  readonly state: NodeState;
  /** Attempts that are not over. */
  readonly running: number;
  /** Resolves when another process has taken this node's name; the node must then be stopped. */
  readonly taken: Promise<OrchError>;
  /** Takes no more tasks, lets the running ones finish for a while and gives the rest back. The node stays. */
  drain(options?: DrainOptions): Promise<void>;
  /** Takes no more tasks; the running ones go on. */
  pause(): Promise<void>;
  /** Takes tasks again. */
  resume(): Promise<void>;
  /** Drains and leaves; returns when all is written and given back. Called again with `timeoutMs: 0`, it hurries. */
  stop(options?: DrainOptions): Promise<void>;
  /** The same as `stop()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

const GRACE_MS_DEFAULT = 10_000;

/** Starts a node; returns when it is ready for tasks. */
export async function startWorker(bus: Bus, options: WorkerOptions): Promise<RunningWorker> {
  const { agents = [], ...rest } = options;
  const daemon = new Daemon(bus, {
    ...rest,
    ownedAgents: agents.map(agent => ({ visibility: 'isolated', ...agent })),
    runner: 'handler' in options ? handlerRunner(options.handler) : commandRunner(bus, options.exec),
  });
  await daemon.start();
  return {
    get node() {
      return daemon.node;
    },
    get state() {
      return daemon.state;
    },
    get running() {
      return daemon.running;
    },
    taken: daemon.taken,
    drain: ({ timeoutMs } = {}) => daemon.drain(timeoutMs),
    pause: () => daemon.pause(),
    resume: () => daemon.resume(),
    stop: ({ timeoutMs } = {}) => daemon.stop(timeoutMs),
    [Symbol.asyncDispose]: () => daemon.stop(),
  };
}

const commandRunner = (bus: Bus, { command, workDir, env, graceMs, keepWork }: CommandOptions) =>
  execRunner({
    command,
    workDir,
    env: env ?? environment(),
    graceMs: graceMs ?? GRACE_MS_DEFAULT,
    keepWork: keepWork ?? false,
    serverUrls: bus.server.urls,
  });
