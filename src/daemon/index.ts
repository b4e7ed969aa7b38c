// The daemon: the process of a node.
export type { Chore, ChoreContext } from './chores/index.ts';
export { Daemon, type DaemonOptions, DRAIN_TIMEOUT_MS } from './daemon.ts';
export { type HealthServer, serveHealth } from './health.ts';
export type { Metrics } from './metrics.ts';
export { type Logger, silent, type Telemetry } from './service/index.ts';
export {
  AttemptStopped,
  CONCURRENCY_MAX,
  defaultNode,
  type ExecOptions,
  execRunner,
  type Handler,
  type HandlerContext,
  handlerRunner,
  type RunContext,
  type RunnableTask,
  type Runner,
  type RunOutcome,
  type StopReason,
  TryLater,
  Worker,
  type WorkerOptions,
} from './worker/index.ts';

/** Loaded by those who measure. */
export const loadMetrics = async () => new (await import('./metrics.ts')).Metrics();
