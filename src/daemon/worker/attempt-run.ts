// One attempt from its claim to its end: an agent is put on it, a watch keeps its lease, the runner does the work, and
// the end is written.
// Promises:
//  1. An attempt ends once: with an entry that its fence allows, or with none because another holder has the task.
//  2. The end is tried until it is written or refused by the fence; only a worker that must stop now gives up.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { type AgentStatus, messageOf, OrchError } from '../../protocol/index.ts';
import { type Attempt, childSpan, type Written } from '../../tasks/index.ts';
import type { AgentDesk, Logger, Telemetry } from '../service/index.ts';
import { OutputSink } from './output.ts';
import { RunContext, type Runner, type RunOutcome, type StopReason } from './run.ts';
import { AttemptWatch } from './watch.ts';

/** Between two tries of an end that could not be written. */
const END_RETRY_MS = 1_000;

/** What an attempt needs of its worker. */
export interface AttemptHost {
  readonly node: string;
  readonly bus: Bus;
  readonly runner: Runner;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  readonly agents: AgentDesk | undefined;
  /** True once attempts are being given back: an end that cannot be written now is left to its lease. */
  readonly isGivingBack: boolean;
  /** Aborts when the worker must stop at once. */
  readonly stopNowSignal: AbortSignal;
  /** Frees the attempt's slot while its end is being written. */
  freeWhile(ending: Promise<Written>, free: () => void): Promise<Written>;
}

export class AttemptRun {
  readonly #host: AttemptHost;
  readonly #attempt: Attempt;
  readonly #watch: AttemptWatch;
  readonly #output: OutputSink;

  constructor(host: AttemptHost, attempt: Attempt, leaseMs: number) {
    const { record } = attempt;
    this.#host = host;
    this.#attempt = attempt;
    this.#watch = new AttemptWatch(attempt, leaseMs, () => host.telemetry.renewed());
    const address = { taskId: record.id, attempt: record.attempt, actor: host.node };
    this.#output = new OutputSink(host.bus, address, () => this.#watch.alive());
  }

  get taskId(): string {
    return this.#attempt.id;
  }

  /** Whether it is at work: neither over nor being stopped. */
  get isAtWork(): boolean {
    return !this.#attempt.isOver && !this.#watch.stopped;
  }

  stop(reason: StopReason): void {
    this.#watch.stop(reason);
  }

  /** Asks the journal now, and stops where another holder has the task. */
  checkFence(): Promise<void> {
    return this.#watch.checkFence();
  }

  /** Runs to the end. `free` is called when its slot can take the next task; the promise never rejects for the work. */
  async run(free: () => void): Promise<void> {
    const { telemetry, agents } = this.#host;
    const attempt = this.#attempt;
    this.#log('attempt started', { lane: attempt.record.lane });
    telemetry.claimed(attempt.record);
    const agent = agents?.assign(attempt.id);
    try {
      const outcome = await this.#work(agent);
      if (agent !== undefined) agents?.report(agent, agentStatus(this.#watch.stopped?.reason, outcome));
      const written = await this.#host.freeWhile(this.#end(outcome), free);
      telemetry.ended(attempt.record, written);
      const state = written === 'fenced' ? 'fenced' : attempt.record.state;
      this.#log('attempt ended', { state, stop: this.#watch.stopped?.reason });
    } finally {
      this.#watch.close();
    }
  }

  async #work(agent: string | undefined): Promise<RunOutcome> {
    const { id, record, input } = this.#attempt;
    const context = new RunContext(this.#watch, {
      node: this.#host.node,
      agent,
      output: this.#output,
      stopNow: this.#host.stopNowSignal,
      traceparent: childSpan(record.traceparent),
    });
    const task = { id, attempt: record.attempt, input, record };
    const outcome = await this.#host.runner(task, context).catch(failedToRun);
    await this.#output.close();
    return outcome;
  }

  // Promise 2
  async #end(outcome: RunOutcome): Promise<Written> {
    let ending: Ending = outcome;
    for (;;) {
      try {
        return await endAttempt(this.#attempt, this.#watch, ending);
      } catch (error) {
        const fields = { task: this.#attempt.id, error: messageOf(error) };
        this.#host.logger.warn(fields, 'cannot write the end of the attempt');
        if (this.#host.isGivingBack || this.#host.bus.isClosed) return 'fenced';
        const isAway = error instanceof OrchError && error.code === 'unavailable';
        // Trying again what can never be written would keep the slot for good.
        if (!isAway && ending.kind === 'unwritable') return 'fenced';
        if (!isAway) ending = { kind: 'unwritable', error: messageOf(error) };
        else await sleep(END_RETRY_MS);
      }
    }
  }

  #log(message: string, more: object): void {
    const { id, record } = this.#attempt;
    const { attempt, traceparent } = record;
    this.#host.logger.info({ task: id, attempt, traceparent, ...more }, message);
  }
}

/** How a run ended, or that its end cannot be written as it is. */
type Ending = RunOutcome | { kind: 'unwritable'; error: string };

// Promise 1
function endAttempt(attempt: Attempt, watch: AttemptWatch, outcome: Ending): Promise<Written> {
  const { stopped } = watch;
  if (stopped?.reason === 'fenced') return Promise.resolve('fenced');
  if (outcome.kind === 'unwritable') return attempt.fail({ reason: 'result-invalid', error: outcome.error });
  // A run that finished before the stop reached it is done.
  if (outcome.kind === 'done') return attempt.done(outcome.result, outcome.exitCode);
  if (stopped?.reason === 'drain') return attempt.release({ reason: 'drain', pause: false });
  const exit = outcome.exitCode === undefined ? {} : { exitCode: outcome.exitCode };
  if (stopped) return attempt.fail({ reason: stopped.reason, error: stopped.message, ...exit });
  if (outcome.kind === 'deferred')
    return attempt.release({ reason: 'deferred', error: outcome.error, pause: true, ...exit });
  return attempt.fail({ reason: 'error', error: outcome.error, ...exit });
}

function agentStatus(stop: StopReason | undefined, outcome: RunOutcome): AgentStatus {
  if (outcome.kind === 'done') return 'done';
  if (stop === 'stalled') return 'stalled';
  return outcome.kind === 'deferred' || stop === 'drain' || stop === 'fenced' ? 'idle' : 'error';
}

const failedToRun = (error: unknown): RunOutcome => ({ kind: 'failed', error: messageOf(error) });
