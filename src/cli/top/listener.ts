// Subscribes to events and passes them on in batches, a few times a second.
// Promise: of more events than a batch holds, only the last are passed on, and the receiver knows that some are missing.
import type { Bus } from '../../bus/index.ts';
import { eventsFilter } from '../../protocol/index.ts';
import { type EventRead, readEvent } from './events.ts';
import { EVENTS_MAX } from './picture.ts';

/** Quick enough to feel live, slow enough to be read. */
const FLUSH_MS = 200;

export class Listener {
  readonly #onEvents: (events: EventRead[], isComplete: boolean) => void;
  readonly #close: () => void;
  #messages: { subject: string; bytes: Uint8Array }[] = [];
  #count = 0;
  #flushed = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `onEvents` receives the last events, at most 200, and whether these are all. */
  constructor(bus: Bus, onEvents: (events: EventRead[], isComplete: boolean) => void) {
    this.#onEvents = onEvents;
    this.#close = bus.requests.subscribe(eventsFilter, (subject, bytes) => this.#receive(subject, bytes));
  }

  stop(): void {
    this.#close();
    clearTimeout(this.#timer);
  }

  #receive(subject: string, bytes: Uint8Array): void {
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
    this.#onEvents(
      messages.map(({ subject, bytes }, i) => readEvent(`event ${first + i}`, subject, bytes)),
      isComplete,
    );
  }
}
