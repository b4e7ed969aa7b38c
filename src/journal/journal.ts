// The journal of one kind of entries: an append-only history per id, written by compare-and-set.
// Promises:
//  1. An entry is written only if nothing was decided about its id since the entry that its writer has seen: the fence.
//  2. A write that is resent after a lost acknowledgement conflicts with its own first copy; the nonce tells this from
//     the write of another, so the entry stands once and its writer learns that it was written.
import type { Bus, Stored } from '../bus/index.ts';
import { encode, OrchError } from '../protocol/index.ts';
import { type FollowOptions, follow, readStored } from './follow.ts';
import { type EntryFields, type Kind, type Line, readLine } from './kind.ts';

/** Other writers come between a read and a write; more often than this they do not. */
const ADD_TRIES_MAX = 5;

/** `conflict` carries the entry that came first; undefined when it cannot be found or read. */
export type Appended<E> = { kind: 'written'; seq: number } | { kind: 'conflict'; last: Line<E> | undefined };

export interface AppendOptions {
  /** Sequence of the last deciding entry that the writer has seen; 0 = none. */
  fence: number;
  /** Default: the bus's. */
  timeoutMs?: number;
  /** Ends the write early. */
  signal?: AbortSignal | undefined;
}

export class JournalOf<E extends EntryFields> {
  readonly #kind: Kind<E>;

  constructor(kind: Kind<E>) {
    this.#kind = kind;
  }

  /**
   * The last entry that decides about an id; without one, its last entry of any type. Throws `usage` when it cannot be
   * read: a decision must not pass over it.
   */
  async last(bus: Bus, id: string, from?: 'replica' | 'leader'): Promise<Line<E> | undefined> {
    const stored = await this.#lastStored(bus, id, from);
    return stored && this.read(stored);
  }

  /** Writes an entry if its fence still stands. Throws `unavailable` when it was not acknowledged in time. */
  async append(
    bus: Bus,
    id: string,
    entry: E,
    { fence, timeoutMs, signal }: AppendOptions,
  ): Promise<Appended<E>> {
    const written = await bus.streams.write(this.#kind.subject(id, entry.type, entry.actor), encode(entry), {
      expect: { lastSequence: fence, filter: this.#decided(id) },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      signal,
    });
    if (written.kind === 'stored') return { kind: 'written', seq: written.seq };
    const stored = await this.#lastStored(bus, id, 'leader');
    const last = stored && this.tryRead(stored);
    // Promise 2.
    return last?.nonce === entry.nonce ? { kind: 'written', seq: last.seq } : { kind: 'conflict', last };
  }

  /** Writes an entry that is true whatever came before it. Returns its sequence; throws `conflict`, `unavailable`. */
  async add(bus: Bus, id: string, entry: E): Promise<number> {
    for (let tries = 0; tries < ADD_TRIES_MAX; tries++) {
      const last = await bus.streams.last(this.#kind.stream, this.#decided(id), 'leader');
      const appended = await this.append(bus, id, entry, { fence: last?.seq ?? 0 });
      if (appended.kind === 'written') return appended.seq;
    }
    throw new OrchError('conflict', `${this.#kind.history(id)} changes too fast to be written to`);
  }

  /** All readable entries of an id, oldest first, up to the last one at the time of the call. Throws `unavailable`. */
  async history(bus: Bus, id: string): Promise<Line<E>[]> {
    const lines: Line<E>[] = [];
    const { stream, history } = this.#kind;
    for await (const stored of readStored(bus, stream, { filter: history(id) })) {
      const line = this.tryRead(stored);
      if (line) lines.push(line);
    }
    return lines;
  }

  /** Yields the readable entries on a filter: those that are stored, then those that arrive. See `follow.ts`. */
  async *follow(bus: Bus, options: FollowOptions): AsyncGenerator<Line<E>> {
    for await (const stored of follow(bus, this.#kind.stream, options)) {
      const line = this.tryRead(stored);
      if (line) yield line;
    }
  }

  /** Reads a stored message as an entry. Throws `usage` when it is not one. */
  read(stored: Stored): Line<E> {
    return readLine(this.#kind, stored);
  }

  /** Reads a stored message as an entry; undefined when it is not one, so that a foreign line does not end a list. */
  tryRead(stored: Stored): Line<E> | undefined {
    try {
      return readLine(this.#kind, stored);
    } catch {
      return undefined;
    }
  }

  async #lastStored(bus: Bus, id: string, from?: 'replica' | 'leader'): Promise<Stored | undefined> {
    const { stream, history, decided } = this.#kind;
    const stored = await bus.streams.last(stream, this.#decided(id), from);
    return stored || !decided ? stored : bus.streams.last(stream, history(id), from);
  }

  #decided(id: string): string {
    const { history, decided = history } = this.#kind;
    return decided(id);
  }
}
