// Hears what happens, and hands it on a few times a second.
// Promise: what comes faster than that many can be read is left out, and it is said that it was.
import type { Bus } from '../../bus/index.ts';
import { eventsFilter } from '../../protocol/index.ts';
import { type Heard, readEvent } from './events.ts';
import { EVENTS_MAX } from './picture.ts';

/** Quick enough to feel live, slow enough to be read. */
const FLUSH_MS = 200;

export class Listener {
  readonly #onHeard: (heard: Heard[], isComplete: boolean) => void;
  readonly #close: () => void;
  #messages: { subject: string; bytes: Uint8Array }[] = [];
  #count = 0;
  #flushed = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `onHeard` gets the last events, at most 200, and whether there were no more than those. */
  constructor(bus: Bus, onHeard: (heard: Heard[], isComplete: boolean) => void) {
    this.#onHeard = onHeard;
    this.#close = bus.requests.subscribe(eventsFilter, (subject, bytes) => this.#hear(subject, bytes));
  }

  stop(): void {
    this.#close();
    clearTimeout(this.#timer);
  }

  #hear(subject: string, bytes: Uint8Array): void {
    this.#count++;
    this.#messages.push({ subject, bytes });
    if (this.#messages.length > EVENTS_MAX) this.#messages.shift();
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const messages = this.#messages.splice(0);
    const isComplete = this.#count - this.#flushed === messages.length;
    const first = this.#count - messages.length;
    this.#flushed = this.#count;
    this.#onHeard(
      messages.map(({ subject, bytes }, i) => readEvent(`event ${first + i}`, subject, bytes)),
      isComplete,
    );
  }
}
