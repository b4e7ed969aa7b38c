// Text out of invented words whose frequencies are those of a language, from a seed: the same in every run.

const VOCABULARY = 50_000;

export class Words {
  readonly #cumulative: number[] = [];
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
    let sum = 0;
    for (let rank = 1; rank <= VOCABULARY; rank++) {
      sum += 1 / rank;
      this.#cumulative.push(sum);
    }
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  text(length: number): string {
    return Array.from({ length }, () => wordOf(this.#rank())).join(' ');
  }

  /** Different words that stand in most records. */
  frequent(length: number): string {
    const from = this.below(5);
    return Array.from({ length }, (_, i) => wordOf(from + i)).join(' ');
  }

  #rank(): number {
    const at = this.#random() * (this.#cumulative.at(-1) ?? 0);
    let [low, high] = [0, VOCABULARY - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulative[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // mulberry32
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

const SYLLABLES = ['ba', 'do', 'ki', 'lu', 'me', 'no', 'ra', 'su', 'ti', 've'];

// 17 is `lusu`: pronounceable, and related words share pieces, as an embedder of pieces expects.
const wordOf = (rank: number): string => [...String(rank)].map(digit => SYLLABLES[Number(digit)]).join('');
