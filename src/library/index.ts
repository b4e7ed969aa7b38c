// The library: what a program that uses orch is given, and nothing of what is behind it.
export type {
  AgentEvent,
  EventBase,
  EventFilter,
  EventKind,
  EventsByKind,
  NodeEvent,
  TaskEvent,
} from './events.ts';
export type { AgentMemory, MemoryAddress, RecallAllQuestion } from './memory.ts';
export { type ConnectOptions, connect, Orch } from './orch.ts';
export type * from './shapes.ts';
export type {
  ActorOption,
  Cancelled,
  OutputLine,
  OutputOptions,
  Published,
  SignalOption,
  TaskFilter,
  TaskLine,
  TaskSpec,
} from './tasks.ts';
export type {
  AgentOptions,
  CommandOptions,
  DrainOptions,
  Handler,
  HandlerContext,
  HandlerTask,
  NodeOptions,
  RunningWorker,
  WorkerOptions,
} from './worker.ts';
