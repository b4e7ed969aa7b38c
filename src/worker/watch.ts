// Keeps watch over one running attempt: renews its lease, and stops it when it is over time, silent, fenced or drained.
// Promise: as long as the watch is open and the attempt is neither stalled nor stopped, the lease is renewed every
// third of its length; a lost fence is noticed within the same time, whether or not an event told of it.
import type { Attempt } from '../tasks/index.ts';
import { AttemptStopped, type StopReason } from './run.ts';

export class AttemptWatch {
  readonly #attempt: Attempt;
  readonly #onRenew: () => void;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #heardAt = performance.now();

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

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get stopReason(): StopReason | undefined {
    return this.signal.aborted ? (this.signal.reason as AttemptStopped).reason : undefined;
  }

  /** The attempt showed a sign of life. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  stop(reason: StopReason): void {
    if (!this.signal.aborted) this.#controller.abort(new AttemptStopped(reason));
  }

  /** Reads the journal now, because something was heard about the task. */
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
    if (this.stopReason !== 'fenced') {
      this.#attempt.renew();
      this.#onRenew();
    }
    void this.checkFence();
  }

  #checkStall(stallTimeoutMs: number): void {
    if (performance.now() - this.#heardAt >= stallTimeoutMs) this.stop('stalled');
  }
}
