// What happens to tasks, nodes and agents, read from the journal: in order, and without a gap when the server was away.
import type { Bus, Stored } from '../bus/index.ts';
import {
  AgentEntry,
  anyHistoryFilter,
  JOURNAL,
  JournalEntry,
  NodeEntry,
  parseEntrySubject,
  parseId,
  tryDecode,
} from '../protocol/index.ts';
import type {
  AgentEventType,
  AgentRecord,
  NodeEventType,
  NodeRecord,
  TaskEventType,
  TaskRecord,
} from './shapes.ts';
import type { SignalOption } from './tasks.ts';

/** What every event has. */
export interface EventBase {
  /** The id of the task, node or agent. */
  id: string;
  /** Who wrote it: a node, or the actor of a publisher or operator. */
  actor: string;
  /** When, by the writer's clock; ISO 8601. */
  at: string;
  /** Its sequence in the journal; later events have larger ones. */
  seq: number;
  /** When the server stored it. */
  storedAt: Date;
}

/** Something that happened to a task. */
export interface TaskEvent extends EventBase {
  /** Tells it from events of nodes and agents. */
  kind: 'task';
  /** What happened. */
  type: TaskEventType;
  /** The task after it. */
  task: TaskRecord;
}

/** Something that happened to a node. */
export interface NodeEvent extends EventBase {
  /** Tells it from events of tasks and agents. */
  kind: 'node';
  /** What happened. */
  type: NodeEventType;
  /** With `online`: it was lost, and is the same process as before. */
  returned?: boolean;
  /** Why, for people. */
  reason?: string;
  /** The node as it was last known. */
  node: NodeRecord;
}

/** Something that happened to an agent. */
export interface AgentEvent extends EventBase {
  /** Tells it from events of tasks and nodes. */
  kind: 'agent';
  /** What happened. */
  type: AgentEventType;
  /** The agent after it. */
  agent: AgentRecord;
}

/** The events of each kind. */
export interface EventsByKind {
  /** Of tasks. */
  task: TaskEvent;
  /** Of nodes. */
  node: NodeEvent;
  /** Of agents. */
  agent: AgentEvent;
}

/** What events are about. */
export type EventKind = keyof EventsByKind;

/** Which events; all conditions must hold. */
export interface EventFilter<K extends EventKind = EventKind> extends SignalOption {
  /** Only of tasks, of nodes or of agents. */
  kind?: K;
  /** Only of these types. */
  type?: EventsByKind[K]['type'] | readonly EventsByKind[K]['type'][];
  /** Only of this task, node or agent. */
  id?: string;
  /** Only what this node or user wrote. */
  actor?: string;
  /** Begin with what was stored since then; default: with what happens after the first step of the loop. */
  since?: Date;
}

/** Yields events until the signal aborts. */
export async function* followEvents<K extends EventKind>(
  bus: Bus,
  filter: EventFilter<K>,
  signal: AbortSignal,
): AsyncGenerator<EventsByKind[K]> {
  const { kind, id, actor, type, since } = filter;
  const types: readonly string[] | undefined = typeof type === 'string' ? [type] : type;
  const source = bus.streams.tail(JOURNAL, {
    filter: anyHistoryFilter(id === undefined ? '*' : parseId(id, 'id')),
    start: since ? { since } : 'new',
    signal,
  });
  for await (const stored of source) {
    const address = parseEntrySubject(stored.subject);
    if (
      !address ||
      (kind !== undefined && address.kind !== kind) ||
      (actor !== undefined && address.actor !== actor) ||
      (types !== undefined && !types.includes(address.type))
    )
      continue;
    const event = readEvent(address.kind, stored);
    // The kind was compared above.
    if (event) yield event as EventsByKind[K];
  }
}

// Undefined for what is no entry, and for kinds that this version does not know.
function readEvent(kind: string, stored: Stored): EventsByKind[EventKind] | undefined {
  const value = tryDecode(stored.bytes);
  const place = { seq: stored.seq, storedAt: stored.time };
  switch (kind) {
    case 'task': {
      const entry = JournalEntry.safeParse(value).data;
      return entry && taskEvent({ ...entry, ...place });
    }
    case 'node': {
      const entry = NodeEntry.safeParse(value).data;
      if (!entry) return undefined;
      const { type, at, actor, node, returned, reason } = entry;
      return {
        ...{ kind, id: node.id, type, at, actor, ...place },
        ...(returned === undefined ? {} : { returned }),
        ...(reason === undefined ? {} : { reason }),
        node,
      };
    }
    case 'agent': {
      const entry = AgentEntry.safeParse(value).data;
      if (!entry) return undefined;
      const { type, at, actor, agent } = entry;
      return { kind, id: agent.id, type, at, actor, ...place, agent };
    }
    default:
      return undefined;
  }
}

/** An entry of a task's journal as an event. */
export function taskEvent(line: JournalEntry & { seq: number; storedAt: Date }): TaskEvent {
  const { type, at, actor, seq, storedAt, task } = line;
  return { kind: 'task', id: task.id, type, at, actor, seq, storedAt, task };
}
