// The janitor: every daemon has one, and the one whose lease it is does the chores of the cluster.
// Promises:
//  1. Chores are done by one node at a time; a node that loses the lease begins no further step of a chore. What a
//     step writes is a compare-and-set on what it read, so one that is late is refused or changes nothing.
//  2. Each round of a chore is bounded and idempotent: what one janitor left half done the next one does again.
//  3. A chore that fails is logged with its reason, counted, and tried again with a growing pause; the others go on.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { Lease, type Tenure } from '../../leases/index.ts';
import { CHORES_LEASE, type ChoreCount, messageOf } from '../../protocol/index.ts';
import type { Logger, NodeService } from '../service/index.ts';

const FAILURE_PAUSE_MS_MAX = 60_000;

/** What a chore has to work with while the lease is held. */
export interface ChoreContext {
  bus: Bus;
  /** The node that does it. */
  actor: string;
  tenure: Tenure;
  logger: Logger;
  /** For how long this node's own heartbeats were taken: no longer silence than this is held against others. */
  healthyForMs(): number;
}

export interface Chore {
  name: string;
  /** The pause between two rounds. */
  everyMs: number;
  /** Makes the state of one tenure; `wake` makes a round due at once. */
  begin(context: ChoreContext, wake: () => void): { round(): Promise<number> };
}

export interface JanitorOptions {
  holder: { node: string; incarnation: string };
  chores: readonly Chore[];
  logger: Logger;
  healthyForMs(): number;
  /** Default 20 s. */
  leaseTtlMs?: number;
}

export class Janitor implements NodeService {
  readonly #bus: Bus;
  readonly #options: JanitorOptions;
  readonly #lease: Lease;
  readonly #counts = new Map<string, ChoreCount>();
  #since = new Date();

  constructor(bus: Bus, options: JanitorOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#lease = new Lease(bus, {
      name: CHORES_LEASE,
      record: () => ({
        ...options.holder,
        since: this.#since.toISOString(),
        chores: Object.fromEntries(this.#counts),
      }),
      work: tenure => this.#work(tenure),
      onError: error => options.logger.warn({ error: messageOf(error) }, 'chores lease failed'),
      ...(options.leaseTtlMs === undefined ? {} : { ttlMs: options.leaseTtlMs }),
    });
  }

  /** Whether this node does the chores. */
  get isHolder(): boolean {
    return this.#lease.isHeld;
  }

  /** For each chore: rounds, what it did, failures since the last good round. */
  get counts(): ReadonlyMap<string, ChoreCount> {
    return this.#counts;
  }

  start(): void {
    this.#since = new Date();
    this.#lease.start();
  }

  finish(): Promise<void> {
    return this.stop();
  }

  /** Returns when no chore runs and the lease is given back; without a server at once, for a chore waits in vain. */
  async stop(): Promise<void> {
    const ended = this.#lease.stop();
    if (this.#bus.server.isConnected) await ended;
  }

  async #work(tenure: Tenure): Promise<void> {
    const { logger, healthyForMs, holder, chores } = this.#options;
    this.#since = new Date();
    logger.info({ lease: tenure.revision }, 'acquired the chores lease');
    const context: ChoreContext = { bus: this.#bus, actor: holder.node, tenure, logger, healthyForMs };
    await Promise.all(chores.map(chore => this.#repeat(chore, context)));
    logger.info({ lease: tenure.revision }, 'released the chores lease');
  }

  async #repeat(chore: Chore, context: ChoreContext): Promise<void> {
    const { signal } = context.tenure;
    let wake = () => {};
    let isDue = false;
    const { round } = chore.begin(context, () => {
      isDue = true;
      wake();
    });
    while (!signal.aborted) {
      isDue = false;
      const pauseMs = await this.#once(chore, round, context.tenure);
      if (isDue && pauseMs <= chore.everyMs) continue;
      const early = new AbortController();
      wake = () => early.abort();
      await sleep(pauseMs, undefined, { signal: AbortSignal.any([signal, early.signal]) }).catch(() => {});
    }
  }

  // Returns the pause until the next round.
  async #once(chore: Chore, round: () => Promise<number>, tenure: Tenure): Promise<number> {
    const count = this.#counts.get(chore.name) ?? { rounds: 0, done: 0, failures: 0 };
    try {
      const done = await round();
      this.#counts.set(chore.name, { rounds: count.rounds + 1, done: count.done + done, failures: 0 });
      return chore.everyMs;
    } catch (error) {
      // The end of a lease is no failure.
      if (tenure.signal.aborted || tenure.remainingMs <= 0) return 0;
      const failures = count.failures + 1;
      this.#counts.set(chore.name, { ...count, failures, error: messageOf(error) });
      this.#options.logger.warn({ chore: chore.name, failures, error: messageOf(error) }, 'a chore failed');
      return Math.min(FAILURE_PAUSE_MS_MAX, chore.everyMs * 2 ** Math.min(failures, 10));
    }
  }
}
