// Keeps watch over one running attempt: renews its lease, and stops it when it is over time, silent, fenced or drained.
// Promise: as long as the watch is open and the attempt is neither stalled nor stopped, the lease is renewed every
// third of its length; a lost fence is noticed within the same time, with or without an event.
import type { Attempt } from '../../tasks/index.ts';
import { AttemptStopped, type StopReason } from './run.ts';

export class AttemptWatch {
  readonly #attempt: Attempt;
  readonly #onRenew: () => void;
  #controller: AbortController | undefined;
  #stopped: AttemptStopped | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #aliveAt = performance.now();

  constructor(attempt: Attempt, leaseMs: number, onRenew: () => void) {
    this.#attempt = attempt;
    this.#onRenew = onRenew;
    const { timeoutMs, stallTimeoutMs } = attempt.record;
    this.#timers.push(setInterval(() => this.#tick(), leaseMs / 3));
    // Timers of more than 24.8 days fire at once; the bound of timeoutMs is far below.
    this.#timers.push(setTimeout(() => this.stop('timeout'), timeoutMs));
    if (stallTimeoutMs > 0)
      this.#timers.push(
        setInterval(() => this.#checkStall(stallTimeoutMs), Math.max(50, stallTimeoutMs / 4)),
      );
  }

  /** Made when it is first asked for: most attempts of a function end without a look at it. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#stopped) this.#controller.abort(this.#stopped);
    }
    return this.#controller.signal;
  }

  /** Why the attempt must stop; undefined while it may run. */
  get stopped(): AttemptStopped | undefined {
    return this.#stopped;
  }

  /** The attempt showed a sign of life. */
  alive(): void {
    this.#aliveAt = performance.now();
  }

  stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = new AttemptStopped(reason);
    this.#controller?.abort(this.#stopped);
  }

  /** Reads the journal now, because an event named the task. */
  async checkFence(): Promise<void> {
    if (this.#attempt.isOver) return;
    // A server that is away decides nothing; the write at the end will.
    const holds = await this.#attempt.holdsFence().catch(() => true);
    if (!holds && !this.#attempt.isOver) this.stop('fenced');
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #tick(): void {
    if (this.#stopped?.reason !== 'fenced') {
      this.#attempt.renew();
      this.#onRenew();
    }
    void this.checkFence();
  }

  #checkStall(stallTimeoutMs: number): void {
    if (performance.now() - this.#aliveAt >= stallTimeoutMs) this.stop('stalled');
  }
}
