// Runs a task as a function in this process.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../protocol/index.ts';
import type { RunContext, RunnableTask, Runner } from './run.ts';

/** Thrown by a handler that cannot run the task now: it goes back unharmed and is tried later. */
export class TryLater extends Error {
  constructor(message = 'not now') {
    super(message);
    this.name = 'TryLater';
  }
}

/** What a handler gets beside its task. */
export class HandlerContext {
  readonly node: string;
  /** The agent that is on the task, where the node owns agents and one was free. */
  readonly agent: string | undefined;
  readonly traceparent: string;
  /** Prints a line to the task's output. */
  readonly log: (text: string) => void;
  /** Reports progress; also resets the stall limit. */
  readonly progress: (text: string) => void;
  readonly #attempt: RunContext;

  constructor(attempt: RunContext) {
    this.#attempt = attempt;
    this.node = attempt.node;
    this.agent = attempt.agent;
    this.traceparent = attempt.traceparent;
    this.log = text => attempt.output.line('log', text);
    this.progress = text => attempt.output.line('progress', text);
  }

  /** Aborts on timeout, stall, cancel, lost lease and drain. */
  get signal(): AbortSignal {
    return this.#attempt.signal;
  }
}

/** What runs a task in process. What it returns is the result, what it throws is the failure. */
export type Handler = (task: RunnableTask, context: HandlerContext) => unknown;

/** A function cannot be killed: after this time the attempt ends without it. */
const ABORT_GRACE_MS = 5_000;

export function handlerRunner(handler: Handler): Runner {
  return async (task, attempt) => {
    try {
      const returned = handler(task, new HandlerContext(attempt));
      // What returned at once cannot be abandoned.
      const result = isPromiseLike(returned) ? await Promise.race([returned, abandoned(attempt)]) : returned;
      return result === undefined ? { kind: 'done' } : { kind: 'done', result };
    } catch (error) {
      return { kind: error instanceof TryLater ? 'deferred' : 'failed', error: messageOf(error) };
    }
  };
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

function abandoned({ signal, stopNow }: RunContext): Promise<never> {
  return new Promise((_, reject) => {
    const stop = async () => {
      await sleep(ABORT_GRACE_MS, undefined, { ref: false, signal: stopNow }).catch(() => {});
      reject(signal.reason);
    };
    if (signal.aborted) void stop();
    else signal.addEventListener('abort', () => void stop(), { once: true });
  });
}
