// The worker: lanes, slots, attempts, and what runs one.
export { type ExecOptions, execRunner } from './exec.ts';
export { type Handler, type HandlerContext, handlerRunner, TryLater } from './handler.ts';
export {
  AttemptStopped,
  type RunContext,
  type RunnableTask,
  type Runner,
  type RunOutcome,
  type StopReason,
} from './run.ts';
export { CONCURRENCY_MAX, defaultNode, Worker, type WorkerOptions } from './worker.ts';
