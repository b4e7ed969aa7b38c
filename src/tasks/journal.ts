// The journal of tasks: the last word about each, and the one way to add to it. Every entry is a compare-and-set
// against the last entry that its writer has seen, so a writer that is behind is refused and cannot overwrite.
import type { Bus, Stored } from '../bus/index.ts';
import { JournalOf, type AppendOptions as JournalOptions, type Line, newNonce } from '../journal/index.ts';
import {
  decidedFilter,
  encode,
  entrySubject,
  historyFilter,
  isCanonicalEntry,
  JOURNAL,
  JournalEntry,
  laneConsumer,
  OrchError,
  queuedSubject,
  type TaskRecord,
} from '../protocol/index.ts';
import { apply, type Change } from './lifecycle.ts';

/** The entries of all tasks. */
export const taskJournal = new JournalOf<JournalEntry>({
  stream: JOURNAL,
  schema: JournalEntry,
  isCanonical: isCanonicalEntry,
  subject: entrySubject,
  history: historyFilter,
  // The `queued` entry decides nothing: the queue does.
  decided: decidedFilter,
});

/** An entry about a task as it is stored. */
export type JournalLine = Line<JournalEntry>;

/** `conflict` carries the entry that came first; undefined when it cannot be found or read. */
export type Appended =
  | { kind: 'written'; seq: number; record: TaskRecord }
  | { kind: 'conflict'; last: JournalLine | undefined };

/** The last entry that decides about a task; without one, its `queued` entry; without that, undefined. */
export const lastEntry = (
  bus: Bus,
  taskId: string,
  from?: 'replica' | 'leader',
): Promise<JournalLine | undefined> => taskJournal.last(bus, taskId, from);

/** The sequence that a compare-and-set on a task expects after this entry: its `queued` entry does not count. */
export const fenceOf = (line: JournalLine | undefined): number =>
  line === undefined || line.type === 'queued' ? 0 : line.seq;

/** Writes the `queued` entry of a new task, if the journal has no entry of it yet. */
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

export interface AppendOptions extends JournalOptions {
  /** Default: a new one. The same nonce at a second try finds the entry of the first. */
  nonce?: string;
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
  { nonce = newNonce(), ...options }: AppendOptions,
): Promise<Appended> {
  const at = new Date().toISOString();
  const next = apply(record, change, at);
  if (!next)
    throw new OrchError('conflict', `task ${record.id} is ${record.state} and cannot become ${change.type}`);
  const entry: JournalEntry = { type: change.type, at, actor, nonce, task: next };
  const appended = await taskJournal.append(bus, record.id, entry, options);
  return appended.kind === 'written' ? { ...appended, record: next } : appended;
}

/** Reads a stored message as an entry; undefined when it is not one, so that a foreign line does not end a list. */
export const tryReadEntry = (stored: Stored): JournalLine | undefined => taskJournal.tryRead(stored);
