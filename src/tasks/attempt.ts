// One attempt at a task: the lease that keeps it, and the fence that lets only its holder write about it.
// Each write expects the sequence of the attempt's own last write. An attempt that lost its lease is so refused by the
// server, which is the value `fenced`. The worker must then stop; its result is discarded.
import type { Bus, Delivery } from '../bus/index.ts';
import { newNonce } from '../journal/index.ts';
import {
  RESULT_BYTES_MAX,
  RESULT_INLINE_BYTES_MAX,
  type Reason,
  type TaskRecord,
} from '../protocol/index.ts';
import { keepDeadLetter } from './dead-letters.ts';
import { append, fenceOf, lastEntry } from './journal.ts';
import { afterFailure, afterRelease, type Change, type Failure, waitMs } from './lifecycle.ts';
import { type EncodedResult, encodeResult } from './result.ts';

/** Room for the rest of an entry beside its result: a record with all its labels. */
const ENTRY_BYTES_MAX = 32 * 1024;
/** How long a write about an attempt waits for a server that is away. The fence decides whether it still counts. */
const PATIENCE_MS = 3_600_000;

export type Written = 'written' | 'fenced';

export class Attempt {
  readonly #bus: Bus;
  readonly #delivery: Delivery;
  /** With the fence it names each write, so that one that is tried again finds itself. */
  readonly #nonce = newNonce();
  /** Ends waiting writes: the worker must stop. */
  readonly #signal: AbortSignal | undefined;
  readonly actor: string;
  /** The value that was published; undefined where the attempt was resumed from its lease. */
  readonly input: unknown;
  record: TaskRecord;
  /** Journal sequence of the attempt's own last entry. */
  fence: number;
  isOver = false;

  constructor(
    bus: Bus,
    delivery: Delivery,
    claim: {
      actor: string;
      input?: unknown;
      record: TaskRecord;
      fence: number;
      signal?: AbortSignal | undefined;
    },
  ) {
    this.#bus = bus;
    this.#delivery = delivery;
    this.#signal = claim.signal;
    this.actor = claim.actor;
    this.input = claim.input;
    this.record = claim.record;
    this.fence = claim.fence;
  }

  get id(): string {
    return this.record.id;
  }

  /** What another connection needs to go on with this attempt. */
  get delivered(): { subject: string; ackSubject: string } {
    return { subject: this.#delivery.subject, ackSubject: this.#delivery.ackSubject };
  }

  /** Renews the lease by its own length, or sets it to `forMs` for an agent that calls seldom. */
  renew(forMs?: number): void {
    if (forMs === undefined) this.#delivery.working();
    else this.#delivery.nak(forMs);
  }

  /** True while the journal's last word about the task is this attempt's. Throws `unavailable`. */
  async holdsFence(): Promise<boolean> {
    const last = await lastEntry(this.#bus, this.id);
    // A replica that lags shows an older entry than ours.
    return fenceOf(last) <= this.fence;
  }

  started(): Promise<Written> {
    return this.#write({ type: 'started' });
  }

  blocked(question: string): Promise<Written> {
    return this.#write({ type: 'blocked', question });
  }

  /**
   * The task is done. A result over 64 KiB, or near the server's max_payload, goes to the object store; one over 64 MiB
   * fails the task, and one that JSON cannot carry fails the attempt.
   */
  async done(result: unknown, exitCode?: number): Promise<Written> {
    const code = exitCode === undefined ? {} : { exitCode };
    const encoded = encodeResult(result);
    if (encoded.kind === 'invalid')
      return this.fail({ reason: 'result-invalid', error: encoded.error, ...code });
    if (encoded.kind === 'bytes' && encoded.bytes.length > RESULT_BYTES_MAX) {
      const error = `a result of ${encoded.bytes.length} bytes, at most ${RESULT_BYTES_MAX} are allowed`;
      return this.#dieOf({ reason: 'result-too-large', error, ...code });
    }
    const written = await this.#write({ type: 'done', ...code, ...(await this.#stored(result, encoded)) });
    if (written === 'written') this.#delivery.ackLate();
    return written;
  }

  // The part of the entry that carries the result.
  async #stored(result: unknown, encoded: EncodedResult) {
    if (encoded.kind !== 'bytes') return {};
    const { length } = encoded.bytes;
    const roomBytes = this.#bus.server.payloadBytesMax - ENTRY_BYTES_MAX;
    if (length <= RESULT_INLINE_BYTES_MAX && length <= roomBytes) return { result };
    const name = `${this.id}.${this.record.attempt}`;
    return { resultRef: await this.#bus.objects.put(name, encoded.bytes, this.#signal) };
  }

  /** The attempt failed: another one after a backoff, or the end as a dead letter. */
  async fail(failure: Failure): Promise<Written> {
    const change = afterFailure(this.record, failure, new Date(), Math.random());
    return change.type === 'failed' ? this.#dieOf(failure) : this.#giveBack(change);
  }

  /** Gives the task back unharmed: at once, or after a pause when it asked for a later try. */
  async release(release: {
    reason: Reason;
    error?: string;
    exitCode?: number;
    pause: boolean;
  }): Promise<Written> {
    const change = afterRelease(this.record, release, new Date(), Math.random());
    if (change.type === 'failed') return this.#dieOf(change);
    return this.#giveBack(change);
  }

  async #giveBack(change: Change & { type: 'retrying' | 'released' }): Promise<Written> {
    const written = await this.#write(change);
    if (written === 'written') this.#delivery.nak(waitMs(change, new Date()));
    return written;
  }

  // The message is copied before the entry that makes it a dead letter: a retry finds it, whichever process dies in between.
  async #dieOf({ reason, error, exitCode }: Failure): Promise<Written> {
    await keepDeadLetter(this.#bus, this.id, this.#delivery.queueSeq, this.#signal);
    const written = await this.#write({
      type: 'failed',
      reason,
      error,
      ...(exitCode === undefined ? {} : { exitCode }),
    });
    if (written === 'written') this.#delivery.ack();
    return written;
  }

  async #write(change: Change): Promise<Written> {
    const appended = await append(this.#bus, this.record, change, this.actor, {
      fence: this.fence,
      nonce: `${this.#nonce}.${this.fence}.${change.type}`,
      timeoutMs: PATIENCE_MS,
      signal: this.#signal,
    });
    if (appended.kind === 'conflict') {
      this.isOver = true;
      return 'fenced';
    }
    this.record = appended.record;
    this.fence = appended.seq;
    this.isOver = change.type !== 'started' && change.type !== 'blocked';
    return 'written';
  }
}
