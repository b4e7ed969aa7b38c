// One delivery of a queue message: the lease that comes with it, and the words to renew it or end it.
// An acknowledgement is a hint to the queue and is never waited for: a lost one means a redelivery, which the journal
// recognises. What decides is written to the journal first.
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { ackSubject, TASKS } from '../protocol/index.ts';
import type { LateAcks } from './acks.ts';

/** Longer delays are asked for again when they end: nanoseconds overflow at 292 years, and clocks are set. */
const NAK_DELAY_MS_MAX = 86_400_000;
const GIVE_BACK_TIMEOUT_MS = 2_000;
/** From so many waiting messages on, what acknowledgements cost the server is felt. */
const LONG_QUEUE = 256;

export class Delivery {
  readonly #nc: NatsConnection;
  readonly #lateAcks: LateAcks | undefined;
  /** Subject to acknowledge on; enough to go on with this lease from another connection. */
  readonly ackSubject: string;
  readonly subject: string;
  readonly #msg: { headers?: MsgHdrs };
  readonly bytes: Uint8Array;
  /** How often the message was delivered, this one included. Lost when a single server is killed. */
  readonly deliveryCount: number;
  /** Stream sequence of the message. */
  readonly queueSeq: number;
  /** When the server stored the message. */
  readonly storedAt: Date;
  /** Messages that still wait in this lane. */
  readonly pending: number;

  constructor(
    nc: NatsConnection,
    msg: Pick<Msg, 'subject' | 'data'> & { reply?: string; headers?: MsgHdrs },
    lateAcks?: LateAcks,
  ) {
    const ack = parseAckSubject(msg.reply ?? '');
    this.#nc = nc;
    this.#lateAcks = lateAcks;
    this.ackSubject = msg.reply ?? '';
    this.subject = msg.subject;
    this.#msg = msg;
    this.bytes = msg.data;
    this.deliveryCount = ack.deliveryCount;
    this.queueSeq = ack.streamSeq;
    this.storedAt = ack.storedAt;
    this.pending = ack.pending;
  }

  /** Parsed when they are first asked for. */
  get headers(): MsgHdrs | undefined {
    return this.#msg.headers;
  }

  /** The task is final: the message goes. */
  ack(): void {
    this.#send('+ACK');
  }

  /** The same where some milliseconds do not matter: out of a long queue it is sent together with others. */
  ackLate(): void {
    if (this.#lateAcks && this.pending >= LONG_QUEUE) this.#lateAcks.later(this);
    else this.ack();
  }

  /** The lease starts anew. */
  working(): void {
    this.#send('+WPI');
  }

  /** Back to the lane, at once or after a delay in milliseconds. */
  nak(delayMs = 0): void {
    this.#send(
      delayMs > 0
        ? `-NAK ${JSON.stringify({ delay: Math.ceil(Math.min(delayMs, NAK_DELAY_MS_MAX)) * 1_000_000 })}`
        : '-NAK',
    );
  }

  /**
   * Back to the lane at once; returns when the server has it there, and at the latest after 2 s without an answer.
   * A pull that is sent right behind a `nak` may overtake it in the server, and find the lane empty.
   */
  async giveBack(): Promise<void> {
    try {
      await this.#nc.request(this.ackSubject, '-NAK', { timeout: GIVE_BACK_TIMEOUT_MS });
    } catch {
      // Lost, or its answer was: at the latest the end of the lease brings the message back.
    }
  }

  #send(word: string): void {
    if (!this.#nc.isClosed()) this.#nc.publish(this.ackSubject, word);
  }
}

// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>`, or with a domain and an
// account hash before the stream.
function parseAckSubject(subject: string) {
  // Where each token ends. No two subjects are alike, and to split one costs as much as all the rest of a delivery.
  const ends: number[] = [];
  for (let at = subject.indexOf('.'); at >= 0; at = subject.indexOf('.', at + 1)) ends.push(at);
  const offset = ends.length >= 10 ? 6 : 4;
  const number = (i: number) =>
    Number(subject.slice((ends[offset + i - 1] ?? subject.length) + 1, ends[offset + i]));
  return {
    deliveryCount: number(0),
    streamSeq: number(1),
    storedAt: new Date(number(3) / 1_000_000),
    pending: number(4),
  };
}

/**
 * Gives back messages of a lane for a worker that is gone. The server accepts an acknowledgement from any connection,
 * and reads from its subject the stream sequence and a consumer sequence that was given out.
 */
export async function redeliver(
  nc: NatsConnection,
  manager: JetStreamManager,
  consumer: string,
  queueSeqs: readonly number[],
): Promise<void> {
  const { delivered } = await manager.consumers.info(TASKS, consumer);
  for (const seq of queueSeqs) nc.publish(ackSubject(TASKS, consumer, seq, delivered.consumer_seq), '-NAK');
}
