// What is written about nodes and agents: who came, left or was lost, and who owns whom. Each entry is a compare-and-set
// against the last one that its writer has seen, so that what many notice is written once.
import { randomUUID } from 'node:crypto';
import type { Bus, Stored } from '../bus/index.ts';
import {
  encode,
  JOURNAL,
  NodeEntry,
  type NodeEventType,
  type NodeRecord,
  nodeEntries,
  nodeEntrySubject,
  nodeHistoryFilter,
  parseEntrySubject,
  tryDecode,
} from '../protocol/index.ts';

/** An entry about a node with where it stands. */
export interface NodeLine extends NodeEntry {
  seq: number;
  /** When the server stored it. */
  storedAt: Date;
}

export type NodeAppended =
  | { kind: 'written'; seq: number }
  | { kind: 'conflict'; last: NodeLine | undefined };

/** What happens to a node, with what is to be said about it. */
export type NodeChange = Pick<NodeEntry, 'returned' | 'reason' | 'lease'> & {
  type: NodeEventType;
  node: NodeRecord;
};

/** The last entry about a node; undefined when it was never heard of, or the journal no longer knows. */
export async function lastNodeEntry(bus: Bus, node: string): Promise<NodeLine | undefined> {
  const stored = await bus.streams.last(JOURNAL, nodeHistoryFilter(node), 'leader');
  return stored && readNodeEntry(stored);
}

/** Writes what happened to a node, if nothing was written since the entry with sequence `last`; 0 = none. */
export async function appendNodeEntry(
  bus: Bus,
  change: NodeChange,
  actor: string,
  { last, timeoutMs }: { last: number; timeoutMs?: number },
): Promise<NodeAppended> {
  const { id } = change.node;
  const nonce = randomUUID();
  const entry: NodeEntry = { at: new Date().toISOString(), actor, nonce, ...change };
  const written = await bus.streams.write(nodeEntrySubject(id, change.type, actor), encode(entry), {
    expect: { lastSequence: last, filter: nodeHistoryFilter(id) },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  if (written.kind === 'stored') return { kind: 'written', seq: written.seq };
  // A write that was sent twice finds itself here.
  const found = await lastNodeEntry(bus, id);
  return found?.nonce === nonce ? { kind: 'written', seq: found.seq } : { kind: 'conflict', last: found };
}

/** Reads a stored message as an entry about a node; undefined when it is not one. */
export function readNodeEntry(stored: Stored): NodeLine | undefined {
  const parsed = NodeEntry.safeParse(tryDecode(stored.bytes));
  return parsed.success ? { ...parsed.data, seq: stored.seq, storedAt: stored.time } : undefined;
}

/** The last entry about each node that something was written about since a time. */
export async function recentNodeEntries(bus: Bus, since: Date): Promise<Map<string, NodeLine>> {
  const lines = new Map<string, NodeLine>();
  for await (const stored of bus.streams.range(JOURNAL, { filter: nodeEntries, since })) {
    const line = readNodeEntry(stored);
    const id = parseEntrySubject(stored.subject)?.id;
    if (line && id !== undefined) lines.set(id, line);
  }
  return lines;
}
