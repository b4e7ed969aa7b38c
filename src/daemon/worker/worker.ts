// The worker: a daemon that takes the tasks that it is capable of and runs each as an attempt.
// Promises:
//  1. It runs only tasks whose required capabilities it has.
//  2. An attempt ends once: with an entry that its fence allows, or with none because somebody else holds the task.
//  3. A drain takes no new work, lets attempts finish for a while, and gives the rest back to the queue at once.
//  4. A server that is away stops nothing: attempts go on, and their ends are written when it is back.
import { hostname } from 'node:os';
import type { Bus, Delivery } from '../../bus/index.ts';
import {
  type AgentStatus,
  cancelledEvents,
  idFrom,
  messageOf,
  OrchError,
  parseCapabilities,
  parseEntrySubject,
  parseId,
} from '../../protocol/index.ts';
import { type Attempt, childSpan, claim, type Written } from '../../tasks/index.ts';
import { type AgentDesk, type Logger, silent, type Telemetry, uncounted } from '../service/index.ts';
import { Dispatcher } from './dispatcher.ts';
import { OutputSink } from './output.ts';
import { RunContext, type Runner, type RunOutcome, type StopReason } from './run.ts';
import { AttemptWatch } from './watch.ts';

export const CONCURRENCY_MAX = 1_000;
export const DRAIN_TIMEOUT_MS = 30_000;
/** Between two tries of an end that could not be written. */
const END_RETRY_MS = 1_000;
/** A claim that could not be decided goes back after this. */
const CLAIM_RETRY_MS = 1_000;

export interface WorkerOptions {
  /** This worker's name; default the host's name and the process id. */
  node?: string;
  /** What it can do; default nothing but tasks that need nothing. */
  capabilities?: readonly string[];
  /** Attempts at once, 1 to 1,000; default 1. */
  concurrency?: number;
  runner: Runner;
  logger?: Logger;
  telemetry?: Telemetry;
  agents?: AgentDesk;
  /** Hears when an attempt begins or ends. */
  onChange?: () => void;
}

export class Worker {
  readonly node: string;
  /** Attempts that may run at once. */
  readonly slots: number;
  readonly #bus: Bus;
  readonly #logger: Logger;
  readonly #runner: Runner;
  readonly #dispatcher: Dispatcher;
  readonly #telemetry: Telemetry;
  readonly #options: Pick<WorkerOptions, 'agents' | 'onChange'>;
  readonly #watches = new Map<Attempt, AttemptWatch>();
  readonly #attempts = new Set<Promise<void>>();
  readonly #undo: (() => void)[] = [];
  /** Attempts whose end is being written. */
  #ending = 0;
  #stopping: Promise<void> | undefined;
  #giveUp = false;

  constructor(bus: Bus, options: WorkerOptions) {
    const { concurrency = 1 } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > CONCURRENCY_MAX) {
      throw new OrchError(
        'usage',
        `concurrency ${concurrency} is not allowed: use a whole number from 1 to ${CONCURRENCY_MAX}`,
      );
    }
    this.node = parseId(options.node ?? defaultNode(), 'node');
    this.slots = concurrency;
    this.#bus = bus;
    this.#logger = options.logger ?? silent;
    this.#runner = options.runner;
    this.#telemetry = options.telemetry ?? uncounted;
    this.#options = options;
    this.#dispatcher = new Dispatcher(bus, {
      capabilities: parseCapabilities(options.capabilities ?? []),
      slots: concurrency,
      logger: this.#logger,
      run: (delivery, leaseMs, free) => this.#track(this.#handle(delivery, leaseMs, free)),
    });
  }

  /** Attempts that are not over: those that run, and those whose end is being written. */
  get running(): number {
    return this.#watches.size;
  }

  /** Returns when the worker is ready for tasks. */
  async start(): Promise<void> {
    await this.#bus.streams.provision();
    this.#undo.push(
      // A single server that was restarted has lost what it kept in memory.
      this.#bus.server.onReconnect(() => void this.#provisionAgain()),
      this.#bus.requests.subscribe(
        cancelledEvents,
        subject => this.#hearCancel(parseEntrySubject(subject)?.id),
        error => this.#logger.warn({ error: messageOf(error) }, 'event subscription'),
      ),
    );
    await this.#dispatcher.start();
    this.#logger.info({ lanes: this.#dispatcher.lanes }, 'worker ready');
  }

  /** Takes no more tasks; those that run go on. */
  pause(): void {
    this.#dispatcher.pause();
  }

  /** Takes tasks again, unless it is being stopped. */
  resume(): void {
    if (this.#stopping) return;
    this.#giveUp = false;
    this.#dispatcher.resume();
  }

  /** Gives the tasks that run back, now. */
  giveBackAll(): void {
    this.#hurry();
  }

  /** Drains and stops; returns when all attempts have ended or were given back. A second call with 0 hurries the first. */
  stop(drainTimeoutMs = DRAIN_TIMEOUT_MS): Promise<void> {
    if (drainTimeoutMs === 0) this.#hurry();
    this.#stopping ??= this.#drain(drainTimeoutMs);
    return this.#stopping;
  }

  async #drain(drainTimeoutMs: number): Promise<void> {
    this.#dispatcher.pause();
    this.#logger.info({ running: this.running, drainTimeoutMs }, 'draining');
    const timer = setTimeout(() => this.#hurry(), drainTimeoutMs);
    while (this.#attempts.size > 0) await Promise.all(this.#attempts);
    clearTimeout(timer);
    await this.#dispatcher.close();
    for (const undo of this.#undo.splice(0)) undo();
    this.#logger.info({}, 'stopped');
  }

  async #provisionAgain(): Promise<void> {
    await this.#bus.streams.provision().catch((error: unknown) => {
      this.#logger.warn({ error: messageOf(error) }, 'cannot check the streams after a reconnect');
    });
  }

  #hurry(): void {
    this.#giveUp = true;
    for (const watch of this.#watches.values()) watch.stop('drain');
  }

  #track(work: Promise<void>): Promise<void> {
    this.#attempts.add(work);
    return work.finally(() => this.#attempts.delete(work));
  }

  /** Whether it is at work on a task. */
  holds(taskId: string): boolean {
    for (const [attempt, watch] of this.#watches)
      if (attempt.id === taskId && !attempt.isOver && !watch.stopped) return true;
    return false;
  }

  /** Asks the journal about each running attempt, and stops those that are somebody else's by now. */
  checkFences(): void {
    for (const watch of this.#watches.values()) void watch.checkFence();
  }

  // Events are a hint; the journal is asked.
  #hearCancel(taskId: string | undefined): void {
    for (const [attempt, watch] of this.#watches) if (attempt.id === taskId) void watch.checkFence();
  }

  async #handle(delivery: Delivery, leaseMs: number, free: () => void): Promise<void> {
    this.#telemetry.delivered(delivery.deliveryCount);
    try {
      const outcome = await claim(this.#bus, delivery, { actor: this.node, leaseMs });
      if (outcome.kind === 'claimed') await this.#run(outcome.attempt, leaseMs, free);
      else this.#logger.debug({ subject: delivery.subject, ...outcome }, 'not claimed');
    } catch (error) {
      this.#logger.warn(
        { subject: delivery.subject, error: messageOf(error) },
        'the claim could not be decided',
      );
      delivery.nak(CLAIM_RETRY_MS);
    }
  }

  async #run(attempt: Attempt, leaseMs: number, free: () => void): Promise<void> {
    const { id, record, input } = attempt;
    const { traceparent, lane } = record;
    this.#logger.info({ task: id, attempt: record.attempt, traceparent, lane }, 'attempt started');
    this.#telemetry.claimed(record);
    const watch = new AttemptWatch(attempt, leaseMs, () => this.#telemetry.renewed());
    this.#watches.set(attempt, watch);
    const agent = this.#options.agents?.assign(id);
    this.#options.onChange?.();
    if (this.#giveUp) watch.stop('drain');
    const output = new OutputSink(this.#bus, { taskId: id, attempt: record.attempt, actor: this.node }, () =>
      watch.heard(),
    );
    try {
      const task = { id, attempt: record.attempt, input, record };
      const context = new RunContext(watch, {
        node: this.node,
        agent,
        output,
        traceparent: childSpan(record.traceparent),
      });
      const outcome = await this.#runner(task, context).catch((error: unknown) => failedToRun(error));
      await output.close();
      if (agent !== undefined)
        this.#options.agents?.report(agent, agentStatus(watch.stopped?.reason, outcome));
      const written = await this.#endAndFree(attempt, watch, outcome, free);
      this.#telemetry.ended(attempt.record, written);
      this.#logger.info(
        {
          task: id,
          attempt: record.attempt,
          traceparent,
          state: written === 'fenced' ? 'fenced' : attempt.record.state,
          stop: watch.stopped?.reason,
        },
        'attempt ended',
      );
    } finally {
      watch.close();
      this.#watches.delete(attempt);
      this.#options.onChange?.();
    }
  }

  // The slot is free while the end is on its way: the next task is asked for together with it, and before this one is
  // acknowledged. (To look for the first message of a long queue, which an acknowledgement would make of the next one,
  // costs the server as much as the queue is long.) Where ends do not get through, slots are kept.
  async #endAndFree(
    attempt: Attempt,
    watch: AttemptWatch,
    outcome: RunOutcome,
    free: () => void,
  ): Promise<Written> {
    const written = this.#end(attempt, watch, outcome);
    if (this.#ending++ < this.slots) free();
    try {
      return await written;
    } finally {
      this.#ending--;
    }
  }

  // Tries until the end is written or refused by the fence; only a worker that must stop now gives up.
  async #end(attempt: Attempt, watch: AttemptWatch, outcome: RunOutcome): Promise<Written> {
    for (;;) {
      try {
        return await endAttempt(attempt, watch, outcome);
      } catch (error) {
        this.#logger.warn(
          { task: attempt.id, error: messageOf(error) },
          'the end of the attempt could not be written',
        );
        if (this.#giveUp || this.#bus.isClosed) return 'fenced';
        await new Promise(resolve => setTimeout(resolve, END_RETRY_MS));
      }
    }
  }
}

function endAttempt(attempt: Attempt, watch: AttemptWatch, outcome: RunOutcome): Promise<Written> {
  const { stopped } = watch;
  if (stopped?.reason === 'fenced') return Promise.resolve('fenced');
  // A run that was done before it heard of the stop is done.
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

/** What a node is called when nobody named it: the host's name and the process id. */
export const defaultNode = (): string => `${idFrom(hostname(), 40)}-${process.pid}`;
