// A lease on what only one may do: a key in `orch-leases` that its holder renews and that expires without it.
// Promises:
//  1. At most one holder at a time: a key is taken and renewed by compare-and-set, and a holder that could not renew it
//     lets go before the key expires, by its own monotonic clock.
//  2. What is done under a lease is told by a signal to stop, before anybody else can begin. `check()` says so before
//     each step; a process that was stopped for a while finds its time over when it wakes.
//  3. Whoever waits costs the server nothing: it hears of renewals on the key's subject, and tries when they end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket, Bus } from '../bus/index.ts';
import {
  bucketSubject,
  encode,
  LEASE_MARGIN_MS,
  LEASE_TTL_MS,
  LEASES,
  LeaseRecord,
  OrchError,
  tryDecode,
} from '../protocol/index.ts';

/** Those who wait do not all try at the same moment. */
const JITTER_MS = 1_000;
const RETRY_MS = 5_000;

export interface LeaseOptions {
  /** What is leased: the key. */
  name: string;
  /** What the key says of its holder. */
  record(): LeaseRecord;
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
    const unsubscribe = this.#bus.requests.subscribe(
      bucketSubject(LEASES, this.#options.name),
      (_subject, bytes) => {
        // Empty: it was given back. A write that was refused is heard too, and costs no more than a wait.
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

  // Ends early when something is heard or the lease is closed.
  async #pause(ms: number): Promise<void> {
    const early = new AbortController();
    this.#wake = () => early.abort();
    await sleep(ms, undefined, { signal: early.signal }).catch(() => {});
  }

  async #tryOnce(): Promise<void> {
    const bucket = this.#bus.buckets.open(LEASES);
    this.#waitFor(this.#ttlMs);
    const found = await bucket.get(this.#options.name);
    // What cannot be read is nobody's, or one broken value would end for good what the lease is for.
    if (readLeaseRecord(found.value)) return;
    const tenure = new Tenure(this.#bus, this.#options, this.#ttlMs);
    if (await tenure.take(found.revision)) await this.#serve(tenure);
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

/** How long before its key expires a lease of this length is given up. */
export const marginOf = (ttlMs: number): number => Math.min(LEASE_MARGIN_MS, ttlMs / 4);

const readLeaseRecord = (value: Uint8Array | undefined): LeaseRecord | undefined =>
  LeaseRecord.safeParse(value && tryDecode(value)).data;

/** Who holds a lease; null when nobody does, or what stands there cannot be read. */
export async function readLease(bus: Bus, name: string): Promise<LeaseRecord | null> {
  const { value } = await bus.buckets.open(LEASES).get(name);
  return readLeaseRecord(value) ?? null;
}

/** A lease while it is held. */
export class Tenure {
  readonly #bus: Bus;
  readonly #bucket: Bucket;
  readonly #options: Pick<LeaseOptions, 'name' | 'record'>;
  readonly #ttlMs: number;
  readonly #marginMs: number;
  readonly #over = new AbortController();
  /** When the renewal was sent that keeps the key. */
  #renewedAt = 0;
  #revision = 0;
  #isLost = false;
  /** Revision of the key when it was taken: higher for each later holder. */
  revision = 0;

  constructor(bus: Bus, options: Pick<LeaseOptions, 'name' | 'record'>, ttlMs: number) {
    this.#bus = bus;
    this.#bucket = bus.buckets.open(LEASES);
    this.#options = options;
    this.#ttlMs = ttlMs;
    this.#marginMs = marginOf(ttlMs);
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Milliseconds left without another renewal: the longest that a write under this lease may take. */
  get remainingMs(): number {
    return this.#renewedAt + this.#ttlMs - this.#marginMs - performance.now();
  }

  /** Throws `conflict` when the lease is over. */
  check(): void {
    if (this.signal.aborted || this.remainingMs <= 0) throw new OrchError('conflict', 'the lease is over');
  }

  /** Ends the tenure; the work is told by its signal. */
  end(): void {
    this.#over.abort();
  }

  async take(revision: number): Promise<boolean> {
    const put = await this.#put(revision, this.#ttlMs / 4);
    if (put) this.revision = this.#revision;
    return put;
  }

  /** Renews until the end: an orderly one, or one for want of renewals. */
  async keep(): Promise<void> {
    while (!this.signal.aborted && this.remainingMs > 0) {
      const pauseMs = Math.min(this.#ttlMs / 4, this.remainingMs);
      await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => {});
      if (!this.signal.aborted && this.remainingMs > 0) await this.#renew();
    }
    if (this.remainingMs <= 0) this.#isLost = true;
    this.end();
  }

  async giveBack(): Promise<void> {
    if (!this.#isLost && this.#bus.server.isConnected)
      await this.#bucket.delete(this.#options.name, { revision: this.#revision }).catch(() => {});
  }

  async #renew(): Promise<void> {
    try {
      if (await this.#put(this.#revision, Math.min(this.#ttlMs / 4, this.remainingMs))) return;
      // Ours, acknowledged too late to be heard, or somebody else's.
      const found = await this.#bucket.get(this.#options.name);
      const holder = readLeaseRecord(found.value);
      if (holder?.incarnation === this.#options.record().incarnation) this.#revision = found.revision;
      else {
        this.#isLost = true;
        this.end();
      }
    } catch {
      // A server that is away: what is left of the time tells when it is over.
      await sleep(Math.min(RETRY_MS, this.#ttlMs / 20), undefined, { signal: this.signal }).catch(() => {});
    }
  }

  async #put(revision: number, timeoutMs: number): Promise<boolean> {
    const sentAt = performance.now();
    const value = encode(this.#options.record());
    const put = await this.#bucket.put(this.#options.name, value, {
      revision,
      ttlMs: this.#ttlMs,
      timeoutMs: Math.max(1, timeoutMs),
    });
    if (put.kind === 'conflict') return false;
    [this.#revision, this.#renewedAt] = [put.revision, sentAt];
    return true;
  }
}
