// The journal of nodes: which joined, left or were lost. Each entry is a compare-and-set against the last one that its
// writer has seen, so that what several nodes notice is written once.
import type { Bus, Stored } from '../bus/index.ts';
import {
  type Appended,
  type AppendOptions,
  type FollowOptions,
  JournalOf,
  type Line,
  newNonce,
} from '../journal/index.ts';
import {
  JOURNAL,
  NodeEntry,
  type NodeEventType,
  type NodeRecord,
  nodeEntries,
  nodeEntrySubject,
  nodeHistoryFilter,
  parseEntrySubject,
} from '../protocol/index.ts';

const nodeJournal = new JournalOf<NodeEntry>({
  stream: JOURNAL,
  schema: NodeEntry,
  subject: nodeEntrySubject,
  history: nodeHistoryFilter,
});

/** An entry about a node as it is stored. */
export type NodeLine = Line<NodeEntry>;

/** What happened to a node, with its record and the reason. */
export type NodeChange = Pick<NodeEntry, 'returned' | 'reason' | 'lease'> & {
  type: NodeEventType;
  node: NodeRecord;
};

/** The last entry about a node; undefined when there is none, or the journal no longer has it. Throws `usage`. */
export const lastNodeEntry = (bus: Bus, node: string): Promise<NodeLine | undefined> =>
  nodeJournal.last(bus, node, 'leader');

/** Writes what happened to a node if its fence still stands. Throws `unavailable`. */
export function appendNodeEntry(
  bus: Bus,
  change: NodeChange,
  actor: string,
  options: AppendOptions,
): Promise<Appended<NodeEntry>> {
  const entry: NodeEntry = { at: new Date().toISOString(), actor, nonce: newNonce(), ...change };
  return nodeJournal.append(bus, change.node.id, entry, options);
}

/** Reads a stored message as an entry about a node; undefined when it is not one. */
export const readNodeEntry = (stored: Stored): NodeLine | undefined => nodeJournal.tryRead(stored);

/** The last entry about each node that has one since a time. Throws `unavailable`. */
export async function recentNodeEntries(bus: Bus, since: Date): Promise<Map<string, NodeLine>> {
  const lines = new Map<string, NodeLine>();
  for await (const stored of bus.streams.range(JOURNAL, { filter: nodeEntries, since })) {
    const line = readNodeEntry(stored);
    const id = parseEntrySubject(stored.subject)?.id;
    if (line && id !== undefined) lines.set(id, line);
  }
  return lines;
}

/** Yields the entries about nodes on a filter: those that are stored, then those that arrive. */
export const followNodeEntries = (bus: Bus, options: FollowOptions): AsyncGenerator<NodeLine> =>
  nodeJournal.follow(bus, options);
