// Runs a task as a function in this process.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../protocol/index.ts';
import type { RunnableTask, Runner } from './run.ts';

/** Thrown by a handler that cannot run the task now: it goes back unharmed and is tried later. */
export class TryLater extends Error {
  constructor(message = 'not now') {
    super(message);
    this.name = 'TryLater';
  }
}

export interface HandlerContext {
  /** Aborts on timeout, stall, cancel, lost lease and drain. */
  signal: AbortSignal;
  /** Prints a line to the task's output. */
  log(text: string): void;
  /** Says that the task is alive and how far it is; also feeds the stall limit. */
  progress(text: string): void;
  node: string;
  /** The agent that is on the task, where the node owns agents and one was free. */
  agent?: string;
  traceparent: string;
}

/** What runs a task in process. What it returns is the result, what it throws is the failure. */
export type Handler = (task: RunnableTask, context: HandlerContext) => unknown;

/** A function cannot be killed: after this time the attempt ends without it. */
const ABORT_GRACE_MS = 5_000;

export function handlerRunner(handler: Handler): Runner {
  return async (task, { signal, output, node, agent, traceparent }) => {
    const context: HandlerContext = {
      signal,
      node,
      ...(agent === undefined ? {} : { agent }),
      traceparent,
      log: text => output.line('log', text),
      progress: text => output.line('progress', text),
    };
    try {
      const result = await Promise.race([Promise.resolve(handler(task, context)), abandoned(signal)]);
      return result === undefined ? { kind: 'done' } : { kind: 'done', result };
    } catch (error) {
      return { kind: error instanceof TryLater ? 'deferred' : 'failed', error: messageOf(error) };
    }
  };
}

function abandoned(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener(
      'abort',
      () => void sleep(ABORT_GRACE_MS, undefined, { ref: false }).then(() => reject(signal.reason)),
      { once: true },
    );
  });
}
