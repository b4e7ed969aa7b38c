// JetStream writes with many in flight at the least cost: one inbox subscription, one table of those that wait, one
// timer for all deadlines. `js.publish` pays a timer and a stack trace for each.
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';

const DEADLINE_MS = 10_000;
const SWEEP_MS = 1_000;

/** The write is accepted only if this is the last sequence on the filter. */
export interface Expectation {
  last: number;
  filter: string;
}

interface Waiting {
  subject: string;
  deadline: number;
  resolve(seq: number): void;
  reject(error: Error): void;
}

export class Writes {
  readonly #nc: NatsConnection;
  readonly #prefix = `${createInbox()}.`;
  readonly #waiting = new Map<string, Waiting>();
  readonly #sweep: NodeJS.Timeout;
  #next = 0;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    nc.subscribe(`${this.#prefix}*`, { callback: (_error, msg) => this.#settle(msg) });
    this.#sweep = setInterval(() => this.#expire(), SWEEP_MS).unref();
  }

  /** Returns the stream sequence. Rejects when the server refuses the write or does not answer. */
  write(subject: string, body: string, expect?: Expectation): Promise<number> {
    return new Promise((resolve, reject) => {
      const token = (this.#next++).toString(36);
      this.#waiting.set(token, { subject, deadline: performance.now() + DEADLINE_MS, resolve, reject });
      const reply = this.#prefix + token;
      if (!expect) return this.#nc.publish(subject, body, { reply });
      const conditions = headers();
      conditions.set('Nats-Expected-Last-Subject-Sequence', String(expect.last));
      conditions.set('Nats-Expected-Last-Subject-Sequence-Subject', expect.filter);
      this.#nc.publish(subject, body, { reply, headers: conditions });
    });
  }

  close(): Promise<void> {
    clearInterval(this.#sweep);
    return this.#nc.close();
  }

  #settle(msg: Msg): void {
    const token = msg.subject.slice(this.#prefix.length);
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    this.#waiting.delete(token);
    const { seq, error } =
      msg.data.length > 0 ? msg.json<{ seq?: number; error?: { description: string } }>() : {};
    if (seq !== undefined && !error) waiting.resolve(seq);
    else waiting.reject(new Error(`${waiting.subject}: ${error?.description ?? 'no stream answers'}`));
  }

  #expire(): void {
    const now = performance.now();
    for (const [token, { subject, deadline, reject }] of this.#waiting) {
      // They wait in the order of their deadlines.
      if (deadline > now) return;
      this.#waiting.delete(token);
      reject(new Error(`${subject}: no acknowledgement within ${DEADLINE_MS / 1_000}s`));
    }
  }
}
