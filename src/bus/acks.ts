// Acknowledgements of a lane with a long queue, sent some at a time and in the order of the queue.
//
// nats-server keeps the messages in blocks of 4 MB, and looks at a block's first message before it removes it. Where the
// message after that was the last one it looked at, it takes the two for the end of a backward scan, forgets the whole
// block, and reads and indexes it again for the next acknowledgement: milliseconds for each. That is what happens when
// one worker takes one message after the other. It does not where two or more go at once, the first one first.
// (`fetchMsgEx` in server/filestore.go of 2.14.0. The `drain` scenario of the benchmark shows it.)
//
// Promise: what was given to `later` is sent within HOLD_MS, or when `flush` is called.

/** No caller waits for an acknowledgement. One that is lost with its process causes a redelivery, as any lost one does. */
const HOLD_MS = 20;

/** A delivery. */
interface Acknowledgeable {
  readonly queueSeq: number;
  ack(): void;
}

export class LateAcks {
  readonly #held: Acknowledgeable[] = [];
  #timer: NodeJS.Timeout | undefined;

  later(delivery: Acknowledgeable): void {
    this.#held.push(delivery);
    this.#timer ??= setTimeout(() => this.flush(), HOLD_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const delivery of this.#held.splice(0).sort((a, b) => a.queueSeq - b.queueSeq)) delivery.ack();
  }
}
