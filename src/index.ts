// orch as a library.
//
//     import { connect, publishTask, runWorker } from 'orch';
//     const orch = await connect({ servers: ['nats://127.0.0.1:4222'] });
//     const worker = await runWorker(orch, { capabilities: ['rust'], handler: async task => build(task.input) });
//     const task = { capabilities: ['rust'], input: { crate: 'demo' } };
//     const { state, result } = await publishAndWait(orch, task, AbortSignal.timeout(60_000));
//     await worker.stop();
//     await orch.close();
import { type Bus, type BusOptions, openBus } from './bus/index.ts';
import { type GatherOptions, recallFromAll } from './cluster/index.ts';
import { defaultActor } from './config/index.ts';
import { Daemon, type DaemonOptions, type Handler, handlerRunner } from './daemon/index.ts';
import { type MemoryClient, memoryClient } from './memory/index.ts';
import type { GatheredReply, RecallInput, TaskRecord } from './protocol/index.ts';
import * as tasks from './tasks/index.ts';

export type { GatherOptions } from './cluster/index.ts';
export {
  type Daemon,
  type ExecOptions,
  execRunner,
  type Handler,
  type HandlerContext,
  type Logger,
  type RunnableTask,
  type Runner,
  TryLater,
} from './daemon/index.ts';
export { type Embedder, type MemoryClient, openAiEmbedder } from './memory/index.ts';
export {
  type ErrorCode,
  type GatheredReply,
  OrchError,
  type Priority,
  type TaskRecord,
  type TaskState,
} from './protocol/index.ts';
export type { Published, TaskFilter, TaskLine, TaskSpec } from './tasks/index.ts';
export {
  followOutput,
  followTask,
  getTask,
  listTasks,
  taskHistory,
  taskOutput,
  waitForTask,
} from './tasks/index.ts';

/** A connection to orch. `close()` ends it; it is also an async disposable. */
export type Orch = Bus;
export type ConnectOptions = BusOptions;

/**
 * Connects to NATS. Default `nats://127.0.0.1:4222`; a lost server is reconnected to for ever.
 * Throws an OrchError with code `unavailable`, `unsupported` (too old, no JetStream), `denied` or `usage`.
 */
export const connect = (options: ConnectOptions = {}): Promise<Orch> => openBus(options);

/** Publishes a task as `actor` (default: this user). Throws `usage`, `too_large` or `unavailable`. */
export function publishTask(
  orch: Orch,
  spec: tasks.TaskSpec,
  actor = defaultActor(),
): Promise<tasks.Published> {
  return tasks.publishTask(orch, spec, actor);
}

/**
 * Publishes a task and waits for its end: quicker than `publishTask` and `waitForTask` one after the other. Where the id
 * is known already, it is the end of the task that has it. Throws as `publishTask`, and `timeout` or `interrupted` with
 * the signal's reason; the task goes on then.
 */
export const publishAndWait = (
  orch: Orch,
  spec: tasks.TaskSpec,
  signal: AbortSignal,
  actor = defaultActor(),
): Promise<TaskRecord> => tasks.publishAndWait(orch, spec, actor, signal);

/** Cancels a task in any state that is not final. Throws `not_found`. */
export function cancelTask(
  orch: Orch,
  taskId: string,
  reason?: string,
  actor = defaultActor(),
): Promise<tasks.Cancelled> {
  return tasks.cancelTask(orch, taskId, actor, reason);
}

/** Brings a failed task back with all its attempts. Throws `not_found` or `conflict`. */
export const retryTask = (orch: Orch, taskId: string, actor = defaultActor()) =>
  tasks.retryTask(orch, taskId, actor);

/**
 * An agent's memory: its own (`agent` absent), or another's as far as that one's visibility allows. In a handler:
 * `createMemory(orch, { as: context.agent })`. Throws `not_found` at each question while nobody owns the agent.
 */
export const createMemory = (orch: Orch, who: { as: string; agent?: string }): MemoryClient =>
  memoryClient(orch, who);

/** Asks all memories that `as` may read; ends at the deadline (default 500 ms) with what came, and says what is missing. */
export const recallAll = (
  orch: Orch,
  question: RecallInput,
  options?: GatherOptions,
): Promise<GatheredReply> => recallFromAll(orch, 'recall', question, options);

/** The same for a search: all words, `"phrases"`, `prefixes*`, no `-excluded`. */
export const searchAll = (
  orch: Orch,
  question: RecallInput,
  options?: GatherOptions,
): Promise<GatheredReply> => recallFromAll(orch, 'search', question, options);

export type RunWorkerOptions = Omit<DaemonOptions, 'runner'> &
  ({ handler: Handler } | { runner: DaemonOptions['runner'] });

/**
 * Starts a node in this process; returns when it is ready for tasks. `stop()` drains it and leaves.
 * Throws `usage`, `conflict` when a live node has its id, or `unavailable`.
 */
export async function runWorker(orch: Orch, options: RunWorkerOptions): Promise<Daemon> {
  const runner = 'handler' in options ? handlerRunner(options.handler) : options.runner;
  const daemon = new Daemon(orch, { ...options, runner });
  await daemon.start();
  return daemon;
}
