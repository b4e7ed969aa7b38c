// A lease while it is held: from the take to the end, orderly or for want of renewals.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BucketEntry, Bus } from '../bus/index.ts';
import { encode, LEASES, LeaseRecord, OrchError, tryDecode } from '../protocol/index.ts';
import { HeldKey } from './held-key.ts';

const RETRY_MS_MAX = 5_000;
/** A lease is renewed this often in the life of its key. */
const RENEWALS = 4;

/** What is leased, and by whom. */
export interface TenureOptions {
  /** The key. */
  name: string;
  /** The value of the key. */
  record(): LeaseRecord;
}

export class Tenure {
  readonly #bus: Bus;
  readonly #options: TenureOptions;
  readonly #ttlMs: number;
  readonly #key: HeldKey;
  readonly #over = new AbortController();
  #isLost = false;
  /** Revision of the key when it was taken: higher for each later holder. */
  revision = 0;

  constructor(bus: Bus, options: TenureOptions, ttlMs: number) {
    this.#bus = bus;
    this.#options = options;
    this.#ttlMs = ttlMs;
    this.#key = new HeldKey(bus.buckets.open(LEASES), options.name, ttlMs);
  }

  /** Aborts when the lease is over, before another can hold it. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Milliseconds left without another renewal: the longest that a write under this lease may take. */
  get remainingMs(): number {
    return this.#key.remainingMs;
  }

  /** Throws `conflict` when the lease is over. */
  check(): void {
    if (this.signal.aborted || this.remainingMs <= 0) throw new OrchError('conflict', 'the lease is over');
  }

  /** Ends the tenure; its signal stops the work. */
  end(): void {
    this.#over.abort();
  }

  /** Takes the lease if the key is still as it was read. */
  async take(found: BucketEntry): Promise<boolean> {
    const isTaken = await this.#key.take(found, this.#value(), this.#ttlMs / RENEWALS);
    if (isTaken) this.revision = this.#key.revision;
    return isTaken;
  }

  /** Renews until the end: an orderly one, or one for want of renewals. */
  async keep(): Promise<void> {
    while (!this.signal.aborted && this.remainingMs > 0) {
      const pauseMs = Math.min(this.#ttlMs / RENEWALS, this.remainingMs);
      await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => {});
      if (!this.signal.aborted && this.remainingMs > 0) await this.#renew();
    }
    if (this.remainingMs <= 0) this.#isLost = true;
    this.end();
  }

  /** Frees the key at once, unless it was lost; without a server it expires. */
  async giveBack(): Promise<void> {
    if (!this.#isLost && this.#bus.server.isConnected) await this.#key.giveBack().catch(() => {});
  }

  async #renew(): Promise<void> {
    try {
      const timeoutMs = Math.max(1, Math.min(this.#ttlMs / RENEWALS, this.remainingMs));
      if (await this.#key.renew(this.#value(), timeoutMs)) return;
      const found = await this.#key.read();
      const holder = readLeaseRecord(found.value);
      if (holder?.incarnation === this.#options.record().incarnation) this.#key.adopt(found);
      else {
        this.#isLost = true;
        this.end();
      }
    } catch {
      // The server is away; the remaining time decides when the lease is over.
      const pauseMs = Math.min(RETRY_MS_MAX, this.#ttlMs / 20);
      await sleep(pauseMs, undefined, { signal: this.signal }).catch(() => {});
    }
  }

  #value(): Uint8Array {
    return encode(this.#options.record());
  }
}

/** Reads the value of a key in `orch-leases`; undefined when there is none, or it cannot be read. */
export const readLeaseRecord = (value: Uint8Array | undefined): LeaseRecord | undefined =>
  LeaseRecord.safeParse(value && tryDecode(value)).data;
