// A lease on work that only one node may do at a time: a held key in `orch-leases` for which nodes compete.
// Promises:
//  1. At most one node holds it at a time; see `held-key.ts`.
//  2. Work under a lease is stopped by a signal before another node can begin. `check()` before each step refuses it in
//     a process that was stopped for a while.
//  3. A waiting node costs the server nothing: it is notified of renewals on the key's subject, and tries when they end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../bus/index.ts';
import { bucketSubject, LEASE_TTL_MS, LEASES, type LeaseRecord } from '../protocol/index.ts';
import { readLeaseRecord, Tenure, type TenureOptions } from './tenure.ts';

/** Waiting nodes do not all try at the same moment. */
const JITTER_MS = 1_000;
const RETRY_MS = 5_000;

export interface LeaseOptions extends TenureOptions {
  /** Does the work until the signal aborts; its end gives the lease back. */
  work(tenure: Tenure): Promise<void>;
  onError(error: unknown): void;
  /** Default 20 s; renewed every quarter of it. */
  ttlMs?: number;
}

export class Lease {
  readonly #bus: Bus;
  readonly #options: LeaseOptions;
  readonly #ttlMs: number;
  #isOpen = false;
  #running: Promise<void> | undefined;
  #tryAt = 0;
  #wake = () => {};
  #tenure: Tenure | undefined;

  constructor(bus: Bus, options: LeaseOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#ttlMs = options.ttlMs ?? LEASE_TTL_MS;
  }

  get isHeld(): boolean {
    return this.#tenure !== undefined;
  }

  /** Begins to compete for the lease. */
  start(): void {
    this.#isOpen = true;
    this.#running ??= this.#compete();
  }

  /** Ends the work, gives the lease back, and returns when that is done. */
  async stop(): Promise<void> {
    this.#isOpen = false;
    this.#tenure?.end();
    this.#wake();
    await this.#running;
  }

  async #compete(): Promise<void> {
    // Promise 3.
    const unsubscribe = this.#bus.requests.subscribe(
      bucketSubject(LEASES, this.#options.name),
      (_subject, bytes) => {
        // Empty: it was given back. A refused write is delivered here too, and only prolongs the wait.
        this.#waitFor(bytes.length === 0 ? 0 : this.#ttlMs);
        this.#wake();
      },
    );
    while (this.#isOpen) {
      const waitMs = this.#tryAt - performance.now();
      if (waitMs > 0) await this.#pause(waitMs);
      else await this.#tryOnce().catch(error => this.#tryLater(error));
    }
    unsubscribe();
  }

  #waitFor(ms: number): void {
    this.#tryAt = performance.now() + ms + Math.random() * JITTER_MS;
  }

  #tryLater(error: unknown): void {
    this.#options.onError(error);
    this.#waitFor(RETRY_MS);
  }

  // Ends early when the key is written or the lease is closed.
  async #pause(ms: number): Promise<void> {
    const early = new AbortController();
    this.#wake = () => early.abort();
    await sleep(ms, undefined, { signal: early.signal }).catch(() => {});
  }

  async #tryOnce(): Promise<void> {
    this.#waitFor(this.#ttlMs);
    const found = await this.#bus.buckets.open(LEASES).get(this.#options.name);
    // An unreadable value counts as free, or one broken write would end the leased work for good.
    if (readLeaseRecord(found.value)) return;
    const tenure = new Tenure(this.#bus, this.#options, this.#ttlMs);
    if (await tenure.take(found)) await this.#serve(tenure);
  }

  async #serve(tenure: Tenure): Promise<void> {
    this.#tenure = tenure;
    if (!this.#isOpen) tenure.end();
    const work = this.#options
      .work(tenure)
      .catch(error => this.#options.onError(error))
      .finally(() => tenure.end());
    await tenure.keep();
    await work;
    await tenure.giveBack();
    this.#tenure = undefined;
    this.#waitFor(this.#ttlMs);
  }
}

/** The holder of a lease; null when there is none, or the value cannot be read. Throws `unavailable`. */
export async function readLease(bus: Bus, name: string): Promise<LeaseRecord | null> {
  const { value } = await bus.buckets.open(LEASES).get(name);
  return readLeaseRecord(value) ?? null;
}
