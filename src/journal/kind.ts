// A kind of entries as data: the stream that holds them, their subjects, and how one is read. A new kind is one such
// record, given to `JournalOf`.
import type * as z from 'zod';
import type { Stored } from '../bus/index.ts';
import { decode, parseAs } from '../protocol/index.ts';

/** The fields that every entry has, whatever its kind. */
export interface EntryFields {
  type: string;
  /** ISO time by the writer's clock. */
  at: string;
  actor: string;
  /** Identifies the write: a resent entry is recognised by it. */
  nonce: string;
}

/** What a journal must know about the entries of one kind. */
export interface Kind<E extends EntryFields> {
  /** The stream that holds them, such as `ORCH_JOURNAL`. */
  stream: string;
  schema: z.ZodType<E>;
  /** A fast check that accepts only values which the schema would return unchanged; default: the schema checks all. */
  isCanonical?(value: unknown): value is E;
  /** The subject of an entry. */
  subject(id: string, type: E['type'], actor: string): string;
  /** The filter of all entries of an id. */
  history(id: string): string;
  /** The filter of the entries against which writes are compared; default: all entries of the id. */
  decided?(id: string): string;
}

/** An entry as it is stored. */
export type Line<E> = E & {
  /** Stream sequence; the fence of the next write. */
  seq: number;
  /** When the server stored it. */
  storedAt: Date;
};

/** Reads a stored message as an entry of a kind. Throws `usage` when it is not one. */
export function readLine<E extends EntryFields>(kind: Kind<E>, stored: Stored): Line<E> {
  const value = decode(stored.bytes);
  const entry = kind.isCanonical?.(value)
    ? value
    : parseAs(kind.schema, value, `journal entry ${stored.seq}`);
  return { ...entry, seq: stored.seq, storedAt: stored.time };
}
