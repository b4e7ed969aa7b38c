// What a task runner gets and what it gives back. A failed run has the shape of a good one plus what went wrong, so
// that the attempt reads one record.
import type { TaskRecord } from '../../protocol/index.ts';
import type { OutputSink } from './output.ts';

/** Why an attempt is stopped before it ends by itself. */
export type StopReason = 'timeout' | 'stalled' | 'drain' | 'fenced';

/** Thrown into the signal of an attempt that is stopped. */
export class AttemptStopped extends Error {
  /** Why. */
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(STOPPED[reason]);
    this.name = 'AttemptStopped';
    this.reason = reason;
  }
}

const STOPPED: Record<StopReason, string> = {
  timeout: 'the attempt ran longer than its time limit',
  stalled: 'the attempt was silent for longer than its stall limit',
  drain: 'the worker is being drained',
  fenced: 'the task was cancelled, or another worker has it since the lease ran out',
};

/** A claimed task, as its runner sees it. */
export interface RunnableTask {
  id: string;
  attempt: number;
  /** The value that was published. */
  input: unknown;
  record: TaskRecord;
}

/** What an attempt runs with. */
export class RunContext {
  readonly node: string;
  /** The agent that is on the task, where the node owns agents and one was free. */
  readonly agent: string | undefined;
  readonly output: OutputSink;
  /** W3C trace context of this attempt. */
  readonly traceparent: string;
  /** Aborts when the worker must stop at once: what runs is ended without grace. */
  readonly stopNow: AbortSignal;
  readonly #watch: { readonly signal: AbortSignal };

  constructor(watch: { readonly signal: AbortSignal }, given: Omit<RunContext, 'signal'>) {
    this.#watch = watch;
    this.node = given.node;
    this.agent = given.agent;
    this.output = given.output;
    this.traceparent = given.traceparent;
    this.stopNow = given.stopNow;
  }

  /** Aborts when the attempt must stop; its reason is an AttemptStopped. Made when it is first asked for. */
  get signal(): AbortSignal {
    return this.#watch.signal;
  }
}

export type RunOutcome =
  | { kind: 'done'; result?: unknown; exitCode?: number }
  | { kind: 'failed'; error: string; exitCode?: number }
  /** Not now: the task goes back unharmed and is tried later. */
  | { kind: 'deferred'; error: string; exitCode?: number };

/** Runs one attempt. It must end soon after its signal aborts; what it returns then is not used. */
export type Runner = (task: RunnableTask, context: RunContext) => Promise<RunOutcome>;
