// The journal of tasks: the last word about each, and the one way to add to it. Every entry is a compare-and-set
// against the entry that its writer has seen, so a writer that is behind learns it instead of overwriting.
import type { Bus, Stored } from '../bus/index.ts';
import {
  decidedFilter,
  decode,
  encode,
  entrySubject,
  historyFilter,
  isWholeEntry,
  JOURNAL,
  JournalEntry,
  laneConsumer,
  OrchError,
  parseAs,
  queuedSubject,
  type TaskRecord,
} from '../protocol/index.ts';
import { apply, type Change } from './lifecycle.ts';
import { randomHex } from './random.ts';

/** An entry with where it stands. */
export interface JournalLine extends JournalEntry {
  seq: number;
  /** When the server stored it. */
  storedAt: Date;
}

/** `conflict` carries the entry that came first; undefined when it cannot be found. */
export type Appended =
  | { kind: 'written'; seq: number; record: TaskRecord }
  | { kind: 'conflict'; last: JournalLine | undefined };

export const newNonce = (): string => randomHex(10);

/** The last entry that decides about a task; without one, its `queued` entry; without that, undefined. */
export async function lastEntry(
  bus: Bus,
  taskId: string,
  from?: 'replica' | 'leader',
): Promise<JournalLine | undefined> {
  const stored =
    (await bus.streams.last(JOURNAL, decidedFilter(taskId), from)) ??
    (await bus.streams.last(JOURNAL, historyFilter(taskId), from));
  return stored && readEntry(stored);
}

/** The sequence that a compare-and-set on a task expects after this entry: its `queued` entry does not count. */
export const fenceOf = (line: JournalLine | undefined): number =>
  line === undefined || line.type === 'queued' ? 0 : line.seq;

/** Writes the `queued` entry of a new task, if the journal knows nothing of it yet. */
export function appendQueued(bus: Bus, record: TaskRecord, actor: string, nonce: string) {
  const entry: JournalEntry = { type: 'queued', at: record.updatedAt, actor, nonce, task: record };
  return bus.streams.write(
    queuedSubject(record.id, actor, laneConsumer(record.priority, record.lane)),
    encode(entry),
    {
      expect: { lastSequence: 0, filter: historyFilter(record.id) },
    },
  );
}

export interface AppendOptions {
  /** Sequence of the last deciding entry that the writer has seen; 0 = none. */
  fence: number;
  /** Default: a new one. The same nonce at a second try finds the entry of the first. */
  nonce?: string;
  /** Default: the bus's. */
  timeoutMs?: number;
}

/**
 * Applies a change and writes it by compare-and-set on the fence.
 * Throws `conflict` when the change is not allowed in the record's state, `unavailable` when it could not be written.
 */
export async function append(
  bus: Bus,
  record: TaskRecord,
  change: Change,
  actor: string,
  options: AppendOptions,
): Promise<Appended> {
  const at = new Date().toISOString();
  const next = apply(record, change, at);
  if (!next)
    throw new OrchError('conflict', `task ${record.id} is ${record.state} and cannot become ${change.type}`);
  const { fence, nonce = newNonce(), timeoutMs } = options;
  const entry: JournalEntry = { type: change.type, at, actor, nonce, task: next };
  const written = await bus.streams.write(entrySubject(record.id, change.type, actor), encode(entry), {
    expect: { lastSequence: fence, filter: decidedFilter(record.id) },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  if (written.kind === 'stored') return { kind: 'written', seq: written.seq, record: next };
  // A write that was sent twice finds itself here.
  const last = await lastEntry(bus, record.id, 'leader');
  return last?.nonce === nonce
    ? { kind: 'written', seq: last.seq, record: next }
    : { kind: 'conflict', last };
}

/** Reads a stored message as an entry. Throws `usage` when it is not one. */
export function readEntry(stored: Stored): JournalLine {
  const value = decode(stored.bytes);
  const entry = isWholeEntry(value) ? value : parseAs(JournalEntry, value, `journal entry ${stored.seq}`);
  return { ...entry, seq: stored.seq, storedAt: stored.time };
}

/** Reads a stored message as an entry, or undefined when it is not one: a foreign line must not end a list. */
export function tryReadEntry(stored: Stored): JournalLine | undefined {
  try {
    return readEntry(stored);
  } catch {
    return undefined;
  }
}
