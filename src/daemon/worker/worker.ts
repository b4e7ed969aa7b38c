// The worker: takes the tasks that its node is capable of, and runs each as an attempt.
// Promises:
//  1. It runs only tasks whose required capabilities it has.
//  2. A drain takes no new work, lets attempts finish for a while, and gives the rest back to the queue at once. With
//     a server that is away it ends too: what cannot be written is left to the end of its lease.
//  3. A server that is away stops nothing: attempts go on, and their ends are written when it is back.
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import type { Bus, Delivery, Service } from '../../bus/index.ts';
import {
  cancelledEvents,
  holdsSubject,
  idFrom,
  messageOf,
  type NodeRecord,
  OrchError,
  parseCapabilities,
  parseEntrySubject,
  parseId,
  parseLastToken,
} from '../../protocol/index.ts';
import { type ClaimOutcome, claim, type Written } from '../../tasks/index.ts';
import {
  type AgentDesk,
  type Logger,
  type NodeService,
  silent,
  type Telemetry,
  uncounted,
} from '../service/index.ts';
import { type AttemptHost, AttemptRun } from './attempt-run.ts';
import { Dispatcher } from './dispatcher.ts';
import type { Runner } from './run.ts';

export const CONCURRENCY_MAX = 1_000;
/** A claim that could not be decided goes back after this. */
const CLAIM_RETRY_MS = 1_000;
/** How long a claim waits for its acknowledgement; its delivery is renewed meanwhile. */
const CLAIM_PATIENCE_MS = 3_600_000;
/** How often pending claims are looked at. */
const CLAIM_RENEW_MS = 300;
/** How long a worker that must stop at once waits for what is still being written. */
const LAST_WRITES_MS = 1_000;

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
  /** Called when an attempt begins or ends. */
  onChange?: () => void;
}

export class Worker implements NodeService, AttemptHost {
  readonly node: string;
  /** Attempts that may run at once. */
  readonly slots: number;
  readonly bus: Bus;
  readonly logger: Logger;
  readonly runner: Runner;
  readonly telemetry: Telemetry;
  readonly agents: AgentDesk | undefined;
  readonly #capabilities: readonly string[];
  readonly #dispatcher: Dispatcher;
  readonly #onChange: () => void;
  /** Attempts that are not over. */
  readonly #runs = new Set<AttemptRun>();
  /** Deliveries that are being claimed, run or ended. */
  readonly #deliveries = new Set<Promise<void>>();
  readonly #undo: (() => void)[] = [];
  /** Deliveries that are being claimed, with when each was last renewed. */
  readonly #claims = new Map<Delivery, { leaseMs: number; renewedAt: number }>();
  /** Tasks whose claim is being written. */
  readonly #writing = new Set<string>();
  /** Attempts whose end is being written. */
  #ending = 0;
  /** Aborts when what runs must be given back: from then on no write is waited for longer than some seconds. */
  #givingBack = sharedController();
  /** Aborts when the worker must stop at once. */
  readonly #stopNow = sharedController();

  constructor(bus: Bus, options: WorkerOptions) {
    this.node = parseId(options.node ?? defaultNode(), 'node');
    this.slots = checkConcurrency(options.concurrency ?? 1);
    this.bus = bus;
    this.logger = options.logger ?? silent;
    this.runner = options.runner;
    this.telemetry = options.telemetry ?? uncounted;
    this.agents = options.agents;
    this.#onChange = options.onChange ?? (() => {});
    this.#capabilities = parseCapabilities(options.capabilities ?? []);
    this.#dispatcher = new Dispatcher(bus, {
      capabilities: this.#capabilities,
      slots: this.slots,
      logger: this.logger,
      run: (delivery, leaseMs, free) => this.#track(this.#handle(delivery, leaseMs, free)),
    });
  }

  /** Attempts that are not over: those that run, and those whose end is being written. */
  get running(): number {
    return this.#runs.size;
  }

  get isGivingBack(): boolean {
    return this.#givingBack.signal.aborted;
  }

  get stopNowSignal(): AbortSignal {
    return this.#stopNow.signal;
  }

  presence(): Pick<NodeRecord, 'capabilities' | 'capacity'> {
    const currentWorkers = Math.min(this.slots, this.running);
    return { capabilities: [...this.#capabilities], capacity: { maxWorkers: this.slots, currentWorkers } };
  }

  serve(service: Service): void {
    service.serve('holds', holdsSubject(this.node, '*'), ({ subject }) => ({
      holds: this.#holds(parseLastToken(subject)),
    }));
  }

  /** Returns when the worker is ready for tasks. Throws `unavailable`. */
  async start(): Promise<void> {
    await this.bus.streams.provision();
    const renewing = setInterval(() => this.#renewClaims(), CLAIM_RENEW_MS);
    this.#undo.push(
      () => clearInterval(renewing),
      // A single server that was restarted has lost what it kept in memory.
      this.bus.server.onReconnect(() => void this.#provisionAgain()),
      // An event is a hint; the journal is asked.
      this.bus.requests.subscribe(
        cancelledEvents,
        subject => this.#checkFences(this.#runsOf(parseEntrySubject(subject)?.id)),
        error => this.logger.warn({ error: messageOf(error) }, 'event subscription'),
      ),
    );
    await this.#dispatcher.start();
    this.logger.info({ lanes: this.#dispatcher.lanes }, 'worker ready');
  }

  pause(): void {
    this.#dispatcher.pause();
  }

  resume(): void {
    this.#givingBack = sharedController();
    this.#dispatcher.resume();
  }

  // Promise 2
  giveBack(): void {
    this.#givingBack.abort();
    for (const run of this.#runs) run.stop('drain');
  }

  stopNow(): void {
    this.giveBack();
    this.#stopNow.abort();
  }

  async finish(): Promise<void> {
    this.pause();
    const { signal } = this.#stopNow;
    const stopped = new Promise<void>(resolve => {
      const end = () => setTimeout(resolve, LAST_WRITES_MS);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
    await Promise.race([this.#allEnded(), stopped]);
  }

  async #allEnded(): Promise<void> {
    while (this.#deliveries.size > 0) await Promise.all(this.#deliveries);
  }

  async stop(): Promise<void> {
    await this.#dispatcher.close();
    for (const undo of this.#undo.splice(0)) undo();
  }

  returned(): void {
    this.#checkFences([...this.#runs]);
  }

  // The slot is free while the end is on its way: the next task is asked for together with it, and before this one is
  // acknowledged. (To look for the first message of a long queue, which an acknowledgement would make of the next one,
  // costs the server as much as the queue is long.) Where ends do not get through, slots are kept.
  async freeWhile(ending: Promise<Written>, free: () => void): Promise<Written> {
    if (this.#ending++ < this.slots) free();
    try {
      return await ending;
    } finally {
      this.#ending--;
    }
  }

  async #provisionAgain(): Promise<void> {
    await this.bus.streams.provision().catch((error: unknown) => {
      this.logger.warn({ error: messageOf(error) }, 'cannot check the streams after a reconnect');
    });
  }

  #track(work: Promise<void>): Promise<void> {
    this.#deliveries.add(work);
    return work.finally(() => this.#deliveries.delete(work));
  }

  #holds(taskId: string): boolean {
    return this.#writing.has(taskId) || this.#runsOf(taskId).some(run => run.isAtWork);
  }

  // A claim whose acknowledgement is late may be stored: while that is unknown, no other worker gets the delivery.
  #renewClaims(): void {
    const now = performance.now();
    for (const [delivery, claim] of this.#claims) {
      if (now - claim.renewedAt < claim.leaseMs / 3) continue;
      claim.renewedAt = now;
      delivery.working();
    }
  }

  #runsOf(taskId: string | undefined): AttemptRun[] {
    return [...this.#runs].filter(run => run.taskId === taskId);
  }

  // Those that another holder has by now are stopped.
  #checkFences(runs: readonly AttemptRun[]): void {
    for (const run of runs) void run.checkFence();
  }

  async #handle(delivery: Delivery, leaseMs: number, free: () => void): Promise<void> {
    const { subject } = delivery;
    this.telemetry.delivered(delivery.deliveryCount);
    try {
      const outcome = await this.#claim(delivery, leaseMs);
      if (outcome.kind === 'claimed') await this.#run(new AttemptRun(this, outcome.attempt, leaseMs), free);
      else this.logger.debug({ subject, ...outcome }, 'not claimed');
    } catch (error) {
      this.logger.warn({ subject, error: messageOf(error) }, 'cannot decide the claim');
      delivery.nak(CLAIM_RETRY_MS);
    }
  }

  async #claim(delivery: Delivery, leaseMs: number): Promise<ClaimOutcome> {
    this.#claims.set(delivery, { leaseMs, renewedAt: performance.now() });
    try {
      return await claim(this.bus, delivery, {
        actor: this.node,
        leaseMs,
        patienceMs: CLAIM_PATIENCE_MS,
        signal: this.#givingBack.signal,
        writing: this.#writing,
      });
    } finally {
      this.#claims.delete(delivery);
    }
  }

  async #run(run: AttemptRun, free: () => void): Promise<void> {
    this.#runs.add(run);
    if (this.isGivingBack) run.stop('drain');
    this.#onChange();
    try {
      await run.run(free);
    } finally {
      this.#runs.delete(run);
      this.#onChange();
    }
  }
}

// Each attempt listens to it, at most as many as there are slots and ends under way: not a leak.
function sharedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function checkConcurrency(concurrency: number): number {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= CONCURRENCY_MAX) return concurrency;
  throw new OrchError(
    'usage',
    `concurrency ${concurrency} is not allowed: use a whole number from 1 to ${CONCURRENCY_MAX}`,
  );
}

/** The default name of a node: the host's name and the process id. */
export const defaultNode = (): string => `${idFrom(hostname(), 40)}-${process.pid}`;
