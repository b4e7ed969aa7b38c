// orch as a library.
//
//     import { connect, publishTask, runWorker } from 'orch';
//     const orch = await connect({ servers: ['nats://127.0.0.1:4222'] });
//     const worker = await runWorker(orch, { capabilities: ['rust'], handler: async task => build(task.input) });
//     const { id } = await publishTask(orch, { capabilities: ['rust'], input: { crate: 'demo' } });
//     const { state, result } = await waitForTask(orch, id, AbortSignal.timeout(60_000));
//     await worker.stop();
//     await orch.close();
import { type Bus, type BusOptions, openBus } from './bus/index.ts';
import { defaultActor } from './config/actor.ts';
import * as tasks from './tasks/index.ts';
import { type Handler, handlerRunner, Worker, type WorkerOptions } from './worker/index.ts';

export {
  type ErrorCode,
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
export {
  type ExecOptions,
  execRunner,
  type Handler,
  type HandlerContext,
  type Logger,
  type RunnableTask,
  type Runner,
  TryLater,
  Worker,
} from './worker/index.ts';

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

export type RunWorkerOptions = Omit<WorkerOptions, 'runner'> &
  ({ handler: Handler } | { runner: WorkerOptions['runner'] });

/** Starts a worker in this process; returns when it is ready. `stop()` drains it. Throws `usage` or `unavailable`. */
export async function runWorker(orch: Orch, options: RunWorkerOptions): Promise<Worker> {
  const runner = 'handler' in options ? handlerRunner(options.handler) : options.runner;
  const worker = new Worker(orch, { ...options, runner });
  await worker.start();
  return worker;
}
