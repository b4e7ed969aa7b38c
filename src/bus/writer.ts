// Writes to JetStream with many in flight: one inbox subscription, one table of waiting writes, one sweeping timer.
// (`js.publish` pays a timer and an async stack for each; that is a third of the throughput.)
//
// Promises:
//  1. Every write ends: in an acknowledgement, a conflict, or an OrchError after its deadline.
//  2. While the connection is away a write is kept and sent again when it is back, until its deadline. A caller whose
//     write may so arrive twice recognises its own by the compare-and-set or the nonce.
//  3. At most IN_FLIGHT_MAX writes wait; one more is refused.
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { OrchError } from '../protocol/index.ts';
import { payloadBytesMax } from './connect.ts';
import { API_ERROR } from './errors.ts';

export const IN_FLIGHT_MAX = 65_536;
const RESEND_MS = 2_000;
/** The pause before a refused write is tried again. */
const RETRY_MS = 250;
const SWEEP_MS = 100;
/** How long a write whose signal aborted is still waited for. */
export const ABORTED_MS = 5_000;
const LINE_END = /[\r\n]/;

/** What a stream must hold for a write to be accepted. */
export interface Expectation {
  /** The last stream sequence on `filter`; 0 = none. */
  lastSequence: number;
  filter: string;
}

export interface WriteOptions {
  expect?: Expectation;
  headers?: Readonly<Record<string, string>>;
  /** Default: the writer's. */
  timeoutMs?: number;
  /** Once it is aborted, the write is waited for at most 5 s more. Looked at ten times a second. */
  signal?: AbortSignal | undefined;
}

/** `conflict`: the expectation did not hold. `exists`: the subject already has its one message. */
export type WriteOutcome = { kind: 'stored'; seq: number } | { kind: 'conflict' } | { kind: 'exists' };

interface Waiting {
  subject: string;
  bytes: Uint8Array;
  headers: MsgHdrs | undefined;
  deadline: number;
  signal: AbortSignal | undefined;
  sentAt: number;
  /** The last answer that a later try may change; the message of the deadline's error. */
  refusal: string;
  resolve(outcome: WriteOutcome): void;
  reject(error: OrchError): void;
}

export class Writer {
  readonly #nc: NatsConnection;
  readonly #prefix: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #timeoutMs: number;
  #next = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(nc: NatsConnection, options: { inboxPrefix?: string | undefined; timeoutMs: number }) {
    this.#nc = nc;
    this.#timeoutMs = options.timeoutMs;
    this.#prefix = `${createInbox(options.inboxPrefix)}.`;
    nc.subscribe(`${this.#prefix}*`, { callback: (_error, msg) => this.#settle(msg) });
  }

  /** Stores bytes on a subject. Throws `unavailable` when no acknowledgement came in time, `too_large` over max_payload. */
  write(subject: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<WriteOutcome> {
    const bytesMax = payloadBytesMax(this.#nc);
    if (bytes.length > bytesMax) {
      return Promise.reject(
        new OrchError(
          'too_large',
          `a message of ${bytes.length} bytes for ${subject} is over the server's ${bytesMax}`,
        ),
      );
    }
    if (this.#waiting.size >= IN_FLIGHT_MAX) {
      return Promise.reject(
        new OrchError('unavailable', `${IN_FLIGHT_MAX} writes are waiting for the server already`),
      );
    }
    return new Promise((resolve, reject) => {
      const token = (this.#next++).toString(36);
      const now = performance.now();
      const waiting: Waiting = {
        subject,
        bytes,
        headers: writeHeaders(options),
        deadline: now + (options.timeoutMs ?? this.#timeoutMs),
        signal: options.signal,
        sentAt: now,
        refusal: 'the server did not acknowledge it in time',
        resolve,
        reject,
      };
      this.#waiting.set(token, waiting);
      this.#send(token, waiting);
      this.#sweep ??= setInterval(() => this.#resendAndExpire(), SWEEP_MS);
    });
  }

  #send(token: string, waiting: Waiting): void {
    waiting.sentAt = performance.now();
    try {
      const reply = this.#prefix + token;
      const { subject, bytes, headers } = waiting;
      this.#nc.publish(subject, bytes, headers ? { reply, headers } : { reply });
    } catch (error) {
      this.#finish(token, w =>
        w.reject(
          new OrchError('unavailable', `cannot write ${w.subject}: ${(error as Error).message}`, {
            cause: error,
          }),
        ),
      );
    }
  }

  #settle(msg: Msg): void {
    const token = msg.subject.slice(this.#prefix.length);
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    // No stream, or none with a leader yet: the sweep sends it again soon.
    if (msg.headers?.code === 503) {
      this.#later(waiting, 'no stream answers');
      return;
    }
    let ack: { seq?: number; error?: { err_code?: number; description?: string } };
    try {
      ack = msg.json();
    } catch {
      this.#later(waiting, 'the acknowledgement is unreadable');
      return;
    }
    const code = ack.error?.err_code;
    if (ack.error === undefined && ack.seq !== undefined) {
      const { seq } = ack;
      this.#finish(token, w => w.resolve({ kind: 'stored', seq }));
    } else if (code === API_ERROR.concurrentWrite) {
      // Perhaps our own, sent twice to a leader that is cut off: only the one that it can commit decides.
      this.#later(waiting, 'another write of it is under way');
    } else if (code === API_ERROR.wrongLastSequence) {
      this.#finish(token, w => w.resolve({ kind: 'conflict' }));
    } else if (code === API_ERROR.storeFailed && ack.error?.description?.includes('per subject')) {
      this.#finish(token, w => w.resolve({ kind: 'exists' }));
    } else if (code === API_ERROR.messageTooLarge) {
      this.#finish(token, w =>
        w.reject(new OrchError('too_large', `the server refused ${w.bytes.length} bytes for ${w.subject}`)),
      );
    } else {
      // Storage full, no quorum: may pass.
      this.#later(waiting, `the server refused it: ${ack.error?.description ?? 'unknown error'} (${code})`);
    }
  }

  #later(waiting: Waiting, refusal: string): void {
    waiting.refusal = refusal;
    waiting.sentAt = performance.now() - RESEND_MS + RETRY_MS;
  }

  #resendAndExpire(): void {
    const now = performance.now();
    for (const [token, waiting] of this.#waiting) {
      if (waiting.signal?.aborted) {
        waiting.signal = undefined;
        waiting.deadline = Math.min(waiting.deadline, now + ABORTED_MS);
      }
      if (now >= waiting.deadline) this.#expire(token, waiting.refusal);
      else if (now - waiting.sentAt >= RESEND_MS) this.#send(token, waiting);
    }
    if (this.#waiting.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }
  }

  #expire(token: string, why: string): void {
    this.#finish(token, w =>
      w.reject(
        new OrchError('unavailable', `cannot write ${w.subject}: ${why}`, { advice: 'run `orch doctor`' }),
      ),
    );
  }

  #finish(token: string, end: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    this.#waiting.delete(token);
    end(waiting);
  }

  /** Ends all waiting writes; called when the bus closes. */
  close(): void {
    clearInterval(this.#sweep);
    for (const token of [...this.#waiting.keys()]) this.#expire(token, 'the connection was closed');
  }
}

// As they stand on the wire. The client's own object folds, searches and checks each name again for each message, and
// of all that it can do only `encode` is asked for when a message is published.
function writeHeaders({ expect, headers: extra }: WriteOptions): MsgHdrs | undefined {
  if (!expect && !extra) return undefined;
  let text = 'NATS/1.0\r\n';
  if (expect) {
    text += `Nats-Expected-Last-Subject-Sequence: ${expect.lastSequence}\r\n`;
    text += `Nats-Expected-Last-Subject-Sequence-Subject: ${expect.filter}\r\n`;
  }
  for (const key in extra) {
    const value = extra[key] ?? '';
    if (LINE_END.test(value)) throw new OrchError('usage', `header ${key} has more than one line`);
    text += `${key}: ${value}\r\n`;
  }
  return new WireHeaders(`${text}\r\n`) as unknown as MsgHdrs;
}

class WireHeaders {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  encode(): Uint8Array {
    return Buffer.from(this.#text);
  }
}
