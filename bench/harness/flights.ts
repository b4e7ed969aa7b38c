// The tasks of one side that are on their way, and a count of what went wrong with them.
import { messageOf } from '../../src/protocol/index.ts';
import type { Hooks } from '../sides/index.ts';

/** One task on its way. Times are of `performance.now()`. */
export interface Flight {
  readonly n: number;
  /** 0: never. */
  startedAt: number;
  endedAt: number;
  /** Settles when the task has ended or is lost; never rejects. */
  readonly over: Promise<void>;
}

/** Longer than a lease: a task that comes back after a lost delivery is slow, one that does not is lost. */
const LOST_MS = 60_000;

export class Flights implements Hooks {
  readonly #open = new Map<number, Flight & { endsBy: number; land(): void }>();
  readonly #sweep: NodeJS.Timeout;
  #next = 1;
  taken = 0;
  /** Starts of tasks that were started before, or are not known. */
  doubled = 0;
  lost = 0;

  constructor() {
    this.#sweep = setInterval(() => this.#loseOverdue(), 1_000).unref();
  }

  /** A new task, from now on watched. */
  take(): Flight {
    let land = () => {};
    const over = new Promise<void>(resolve => {
      land = resolve;
    });
    const n = this.#next++;
    const flight = { n, startedAt: 0, endedAt: 0, over, land, endsBy: performance.now() + LOST_MS };
    this.#open.set(n, flight);
    this.taken++;
    return flight;
  }

  started(n: number): undefined {
    const flight = this.#open.get(n);
    if (flight?.startedAt === 0) flight.startedAt = performance.now();
    else this.doubled++;
  }

  ended(n: number): void {
    const flight = this.#open.get(n);
    if (!flight) return;
    this.#open.delete(n);
    flight.endedAt = performance.now();
    flight.land();
  }

  failed(n: number, error: unknown): void {
    const flight = this.#open.get(n);
    if (!flight) return;
    process.stderr.write(`task ${n}: ${messageOf(error)}\n`);
    this.#open.delete(n);
    this.lost++;
    flight.land();
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  #loseOverdue(): void {
    const now = performance.now();
    for (const [n, { endsBy }] of this.#open)
      if (endsBy < now) this.failed(n, `not ended within ${LOST_MS / 1_000}s`);
  }
}
