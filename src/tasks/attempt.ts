// One attempt at a task: the lease that keeps it, and the fence that lets only its holder write about it.
// Each write expects the sequence of the attempt's own last write. An attempt that lost its lease is so refused by the
// server, which is the value `fenced`. The worker must then stop; its result is discarded.
import type { Bus, Delivery } from '../bus/index.ts';
import { newNonce } from '../journal/index.ts';
import {
  encode,
  RESULT_BYTES_MAX,
  RESULT_INLINE_BYTES_MAX,
  type Reason,
  type TaskRecord,
} from '../protocol/index.ts';
import { keepDeadLetter } from './dead-letters.ts';
import { append, fenceOf, lastEntry } from './journal.ts';
import { afterFailure, afterRelease, type Change, type Failure, waitMs } from './lifecycle.ts';

/** How long a write about an attempt waits for a server that is away. The fence decides whether it still counts. */
const PATIENCE_MS = 3_600_000;

export type Written = 'written' | 'fenced';

export class Attempt {
  readonly #bus: Bus;
  readonly #delivery: Delivery;
  /** With the fence it names each write, so that one that is tried again finds itself. */
  readonly #nonce = newNonce();
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
    claim: { actor: string; input?: unknown; record: TaskRecord; fence: number },
  ) {
    this.#bus = bus;
    this.#delivery = delivery;
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

  /** The task is done. A result over 64 KiB goes to the object store; one over 64 MiB is a failure of the task. */
  async done(result: unknown, exitCode?: number): Promise<Written> {
    const code = exitCode === undefined ? {} : { exitCode };
    const bytes = result === undefined ? undefined : encode(result);
    let change: Change;
    if (bytes === undefined || bytes.length <= RESULT_INLINE_BYTES_MAX) {
      change = { type: 'done', ...code, ...(result === undefined ? {} : { result }) };
    } else if (bytes.length <= RESULT_BYTES_MAX) {
      change = {
        type: 'done',
        ...code,
        resultRef: await this.#bus.objects.put(`${this.id}.${this.record.attempt}`, bytes),
      };
    } else {
      return this.#dieOf({
        reason: 'result-too-large',
        error: `a result of ${bytes.length} bytes, at most ${RESULT_BYTES_MAX} are allowed`,
        ...code,
      });
    }
    const written = await this.#write(change);
    if (written === 'written') this.#delivery.ackLate();
    return written;
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
    await keepDeadLetter(this.#bus, this.id, this.#delivery.queueSeq);
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
