// Daemons: what stays alive and runs tasks.
export { Daemon, type DaemonOptions, SERVICE_NAME } from './daemon.ts';
export { type ExecOptions, execRunner, taskEnvironment } from './exec.ts';
export { type Handler, type HandlerContext, handlerRunner, TryLater } from './handler.ts';
/** Loaded by those who measure. */
export const loadMetrics = async () => new (await import('./metrics.ts')).Metrics();
export { type HealthServer, serveHealth } from './health.ts';
export { type Chore, type ChoreContext, Janitor } from './janitor.ts';
export { type Logger, silent } from './logger.ts';
export type { Metrics } from './metrics.ts';
export type { RunContext, RunnableTask, Runner, RunOutcome } from './run.ts';
export { AttemptStopped } from './run.ts';
export type { Telemetry } from './telemetry.ts';
export { CONCURRENCY_MAX, DRAIN_TIMEOUT_MS, defaultNode, Worker, type WorkerOptions } from './worker.ts';
