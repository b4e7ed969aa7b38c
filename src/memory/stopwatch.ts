// Where the time of an answer goes, stage by stage, in milliseconds.
import type { Timings } from '../protocol/index.ts';

type Stage = 'embedMs' | 'keywordMs' | 'vectorMs' | 'readMs';

export class Stopwatch {
  readonly #startedAt = performance.now();
  readonly #stages = { embedMs: 0, keywordMs: 0, vectorMs: 0, readMs: 0 };

  /** Counts the time until `work` is done to a stage. */
  async time<T>(stage: Stage, work: Promise<T> | T): Promise<T> {
    const startedAt = performance.now();
    try {
      return await work;
    } finally {
      this.#stages[stage] += performance.now() - startedAt;
    }
  }

  get timings(): Timings {
    const { embedMs, keywordMs, vectorMs, readMs } = this.#stages;
    return {
      embedMs: rounded(embedMs),
      keywordMs: rounded(keywordMs),
      vectorMs: rounded(vectorMs),
      readMs: rounded(readMs),
      totalMs: rounded(performance.now() - this.#startedAt),
    };
  }
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;
