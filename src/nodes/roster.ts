// The roster of nodes: their records, whether they answer now, and which left or were lost.
// A record is as old as the last heartbeat; a node that was killed since then is found by a ping.
import type { BucketEntry, Bus } from '../bus/index.ts';
import {
  areCompatible,
  formatProtocol,
  NODES,
  NodeRecord,
  type NodeReply,
  type NodeVerb,
  nodeRequestSubject,
  notFoundError,
  OrchError,
  PROTOCOL,
  pingAllSubject,
  tryDecode,
} from '../protocol/index.ts';
import { recentNodeEntries } from './journal.ts';
import { readNodeReply } from './presence.ts';

/** The time limit of a ping to all nodes. */
export const PING_DEADLINE_MS = 500;
/** A node carries out a request before it answers. */
const REQUEST_TIMEOUT_MS = 3_000;
/** How long nodes that left or were lost are listed. */
const GONE_SHOWN_MS = 24 * 3_600_000;

/**
 * `live`: its key exists and it answers, or was not pinged. `silent`: its key exists and it does not answer. `lost`: its
 * key expired. `offline`: it left. `incompatible`: it speaks no protocol of ours. `corrupt`: its key cannot be read.
 */
export type NodePresence = 'live' | 'silent' | 'lost' | 'offline' | 'incompatible' | 'corrupt';

/** A node as it is seen from here. */
export interface NodeView {
  id: string;
  presence: NodePresence;
  /** Why it is not `live`; for people. */
  why?: string;
  /** When the server stored its last heartbeat or entry. */
  heardAt: Date;
  /** As it was last known; absent where it cannot be read. */
  record?: NodeRecord;
  /** Its answer to the ping. */
  answer?: { roundTripMs: number; clockSkewMs: number };
}

/** The nodes that have a key, without a ping. Throws `unavailable`. */
export async function readNodes(bus: Bus): Promise<NodeView[]> {
  return (await bus.buckets.open(NODES).list()).map(viewOf).sort((a, b) => a.id.localeCompare(b.id));
}

/** All nodes: those that have a key, pinged, and those that left or were lost within 24 h. Throws `unavailable`. */
export async function lookAtNodes(bus: Bus, deadlineMs = PING_DEADLINE_MS): Promise<NodeView[]> {
  const [present, entries] = await Promise.all([
    readNodes(bus),
    recentNodeEntries(bus, new Date(Date.now() - GONE_SHOWN_MS)),
  ]);
  await pingAll(bus, present, deadlineMs);
  const gone: NodeView[] = [];
  for (const [id, { type, node, storedAt, reason }] of entries) {
    if (present.some(view => view.id === id)) continue;
    if (type === 'offline') gone.push({ id, presence: 'offline', heardAt: storedAt, record: node });
    else {
      const why =
        type === 'lost' ? (reason ?? 'its key expired') : 'its key expired; not recorded as lost yet';
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
  throw notFoundError(
    'node',
    id,
    all.map(view => view.id),
  );
}

/** Sends a node a request: ping, drain, pause or resume. Throws `not_found`, or `unavailable` when it is silent. */
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
    return { ...seen, presence: 'incompatible', why: 'it reports so itself', record: parsed.data };
  return { ...seen, presence: 'live', record: parsed.data };
}

function isRange(value: unknown): value is { min: number; max: number } {
  const { min, max } = (value ?? {}) as { min?: unknown; max?: unknown };
  return typeof min === 'number' && typeof max === 'number';
}

// Marks those that do not answer as silent.
async function pingAll(bus: Bus, views: readonly NodeView[], deadlineMs: number): Promise<void> {
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
