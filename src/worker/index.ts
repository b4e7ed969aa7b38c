// Daemons: what stays alive and runs tasks.
export { type ExecOptions, execRunner, taskEnvironment } from './exec.ts';
export { type Handler, type HandlerContext, handlerRunner, TryLater } from './handler.ts';
export { type Logger, silent } from './logger.ts';
export type { RunContext, RunnableTask, Runner, RunOutcome } from './run.ts';
export { AttemptStopped } from './run.ts';
export { CONCURRENCY_MAX, DRAIN_TIMEOUT_MS, Worker, type WorkerOptions } from './worker.ts';
