// A held key: one key of a bucket that its holder takes, renews, and deletes at the end, and that expires without it.
// Promises:
//  1. It has one holder at a time: each write is a compare-and-set on the revision that the holder has seen.
//  2. A holder that cannot renew it stops being one before the key expires. The time is counted from when the last
//     renewal was sent, by the process's monotonic clock: a process that was stopped finds its time over when it wakes.
import type { Bucket, BucketEntry } from '../bus/index.ts';
import { LEASE_MARGIN_MS } from '../protocol/index.ts';

export class HeldKey {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #ttlMs: number;
  #revision = 0;
  /** When the write was sent that keeps the key. */
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(bucket: Bucket, key: string, ttlMs: number) {
    this.#bucket = bucket;
    this.#key = key;
    this.#ttlMs = ttlMs;
  }

  /** Revision of the key as this holder wrote it last; 0 before. */
  get revision(): number {
    return this.#revision;
  }

  /** Milliseconds for which the key is surely held without another renewal; 0 or less: it is not. */
  get remainingMs(): number {
    // Promise 2: "surely" leaves a margin before the key expires.
    return this.#sentAt + this.#ttlMs - Math.min(LEASE_MARGIN_MS, this.#ttlMs / 4) - performance.now();
  }

  /** The key as the server has it now. Throws `unavailable`. */
  read(): Promise<BucketEntry> {
    return this.#bucket.get(this.#key);
  }

  /** Writes over what was read: an expired or abandoned key, or an own write. False when another was first. */
  take(found: BucketEntry, value: Uint8Array, timeoutMs?: number): Promise<boolean> {
    return this.#put(value, found.revision, timeoutMs);
  }

  /**
   * Writes over the own last write. False when the key is no longer that: it expired, another has it, or it is an own
   * write whose acknowledgement was lost. Read it to know.
   */
  renew(value: Uint8Array, timeoutMs?: number): Promise<boolean> {
    return this.#put(value, this.#revision, timeoutMs);
  }

  /** Continues from what was read, an own write whose acknowledgement was lost. It does not extend the time. */
  adopt(found: BucketEntry): void {
    this.#revision = found.revision;
  }

  /** Deletes the key if it is still the own last write; false when it is not. Throws `unavailable`. */
  async giveBack(): Promise<boolean> {
    const deleted = await this.#bucket.delete(this.#key, { revision: this.#revision });
    return deleted.kind === 'stored';
  }

  async #put(value: Uint8Array, revision: number, timeoutMs: number | undefined): Promise<boolean> {
    const sentAt = performance.now();
    const put = await this.#bucket.put(this.#key, value, {
      revision,
      ttlMs: this.#ttlMs,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (put.kind === 'conflict') return false;
    [this.#revision, this.#sentAt] = [put.revision, sentAt];
    return true;
  }
}
