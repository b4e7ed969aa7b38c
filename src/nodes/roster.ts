// Who is there: what the nodes said of themselves, whether they answer now, and who was lost.
// A record says what was true at the last heartbeat; a node that was killed since is found out by asking it.
import type { BucketEntry, Bus } from '../bus/index.ts';
import {
  areCompatible,
  formatProtocol,
  NODES,
  NodeRecord,
  type NodeReply,
  type NodeVerb,
  nearest,
  nodeRequestSubject,
  OrchError,
  PROTOCOL,
  pingAllSubject,
  tryDecode,
} from '../protocol/index.ts';
import { recentNodeEntries } from './journal.ts';
import { readNodeReply } from './presence.ts';

/** How long all nodes together may take to answer. */
export const PING_DEADLINE_MS = 500;
/** A node is asked to do something and does it before it answers. */
const REQUEST_TIMEOUT_MS = 3_000;
/** Nodes that left or were lost are shown for so long. */
const GONE_SHOWN_MS = 24 * 3_600_000;

/**
 * `live`: its key is there and it answers, or was not asked. `silent`: its key is there and it does not answer.
 * `lost`: its key expired. `offline`: it left. `incompatible`: it speaks no protocol of ours. `corrupt`: its key
 * cannot be read.
 */
export type NodePresence = 'live' | 'silent' | 'lost' | 'offline' | 'incompatible' | 'corrupt';

/** A node as it is seen from here. */
export interface NodeView {
  id: string;
  presence: NodePresence;
  /** Why it is not `live`; for people. */
  why?: string;
  /** When the server had its last word. */
  heardAt: Date;
  /** As it was last known; absent where it cannot be read. */
  record?: NodeRecord;
  /** What it answered just now. */
  answer?: { roundTripMs: number; clockSkewMs: number };
}

/** The nodes whose keys are there, without asking them. */
export async function readNodes(bus: Bus): Promise<NodeView[]> {
  return (await bus.buckets.open(NODES).list()).map(viewOf).sort((a, b) => a.id.localeCompare(b.id));
}

/** All nodes: those that are there, asked just now, and those that left or were lost within a day. */
export async function lookAtNodes(bus: Bus, deadlineMs = PING_DEADLINE_MS): Promise<NodeView[]> {
  const [present, entries] = await Promise.all([
    readNodes(bus),
    recentNodeEntries(bus, new Date(Date.now() - GONE_SHOWN_MS)),
  ]);
  await askAll(bus, present, deadlineMs);
  const gone: NodeView[] = [];
  for (const [id, { type, node, storedAt, reason }] of entries) {
    if (present.some(view => view.id === id)) continue;
    if (type === 'offline') gone.push({ id, presence: 'offline', heardAt: storedAt, record: node });
    else {
      const why =
        type === 'lost' ? (reason ?? 'its key expired') : 'its key expired, and nobody has said so yet';
      gone.push({ id, presence: 'lost', heardAt: storedAt, record: node, why });
    }
  }
  return [...present, ...gone].sort((a, b) => a.id.localeCompare(b.id));
}

/** One node. Throws `not_found` with the nearest name. */
export async function lookAtNode(bus: Bus, id: string): Promise<NodeView> {
  const all = await lookAtNodes(bus);
  const found = all.find(view => view.id === id);
  if (found) return found;
  throw unknown(
    'node',
    id,
    all.map(view => view.id),
  );
}

/** Asks a node to drain, pause, resume, or say that it is there. Throws `not_found`, `unavailable` when it is silent. */
export async function askNode(
  bus: Bus,
  id: string,
  verb: NodeVerb,
  body: Record<string, unknown> = {},
): Promise<NodeReply> {
  const asked = await bus.requests.ask(nodeRequestSubject(id, verb), body, REQUEST_TIMEOUT_MS);
  if (asked.kind === 'refused')
    throw new OrchError(
      asked.code,
      asked.message,
      asked.advice === undefined ? {} : { advice: asked.advice },
    );
  const reply = asked.kind === 'reply' ? readNodeReply(asked.value) : undefined;
  if (reply) return reply;
  const { presence } = await lookAtNode(bus, id);
  if (asked.kind === 'no-responder')
    throw new OrchError(
      'unavailable',
      `node ${id} cannot be asked: it is ${presence === 'live' ? 'gone' : presence}`,
    );
  throw new OrchError('unavailable', `node ${id} does not answer`, {
    advice: `\`orch node ${id}\` shows more`,
  });
}

/** The error for a name that nobody has, with the nearest one that somebody has. */
export function unknown(what: string, id: string, known: readonly string[]): OrchError {
  const near = nearest(id, known);
  return new OrchError('not_found', `no ${what} ${id}`, {
    advice: near === undefined ? `\`orch ${what}s\` lists them` : `did you mean "${near}"?`,
  });
}

function viewOf({ key, value, storedAt }: BucketEntry): NodeView {
  const decoded = value && tryDecode(value);
  const parsed = NodeRecord.safeParse(decoded);
  const protocol = (parsed.data ?? (decoded as Partial<NodeRecord> | undefined))?.protocol;
  const seen = { id: key, heardAt: storedAt };
  if (isRange(protocol) && !areCompatible(protocol, PROTOCOL)) {
    const why = `speaks protocol ${formatProtocol(protocol)}, here is ${formatProtocol(PROTOCOL)}`;
    return { ...seen, presence: 'incompatible', why, ...(parsed.data && { record: parsed.data }) };
  }
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { ...seen, presence: 'corrupt', why: `${issue?.path.join('.') || 'value'}: ${issue?.message}` };
  }
  if (parsed.data.state === 'incompatible')
    return { ...seen, presence: 'incompatible', why: 'says so itself', record: parsed.data };
  return { ...seen, presence: 'live', record: parsed.data };
}

function isRange(value: unknown): value is { min: number; max: number } {
  const { min, max } = (value ?? {}) as { min?: unknown; max?: unknown };
  return typeof min === 'number' && typeof max === 'number';
}

// Those that answer are live, those that do not are silent.
async function askAll(bus: Bus, views: readonly NodeView[], deadlineMs: number): Promise<void> {
  const left = new Map(views.flatMap(view => (view.presence === 'live' ? [[view.id, view]] : [])));
  const [sentAt, sent] = [Date.now(), performance.now()];
  if (left.size === 0) return;
  await bus.requests.gather(pingAllSubject, undefined, {
    deadlineMs,
    onReply: reply => {
      const answer = reply.kind === 'reply' ? readNodeReply(reply.value) : undefined;
      const view = answer && left.get(answer.node);
      if (!view || view.record?.incarnation !== answer.incarnation) return false;
      left.delete(view.id);
      const roundTripMs = performance.now() - sent;
      const clockSkewMs = Date.parse(answer.at) - (sentAt + roundTripMs / 2);
      view.answer = { roundTripMs, clockSkewMs };
      Object.assign(view.record, { state: answer.state });
      view.record.capacity.currentWorkers = answer.running;
      return left.size === 0;
    },
  });
  for (const view of left.values()) {
    view.presence = 'silent';
    view.why = `does not answer; last heard of ${Math.round((Date.now() - view.heardAt.getTime()) / 1_000)} s ago`;
  }
}
