// What is known of the cluster at one moment: servers, streams, lanes, nodes, agents and the chores. It is read afresh
// on each call, and nodes are pinged, so that a node that was killed a moment ago does not count as live.
// A part that cannot be read is left out and listed; it does not hide the others.
import type { Bus, LaneInfo, ServerFacts, StreamReport } from '../bus/index.ts';
import { readLease } from '../leases/index.ts';
import { lookAtNodes, type NodeView } from '../nodes/index.ts';
import {
  CHORES_LEASE,
  type LeaseRecord,
  laneFilter,
  OrchError,
  PROTOCOL,
  type ProtocolRange,
  TASKS,
} from '../protocol/index.ts';
import { type AgentView, listAgents } from './agents.ts';
import { canServe } from './eligibility.ts';

/** What the rules in `findings.ts` are applied to. Durations are in milliseconds. */
export interface ClusterFacts {
  /** The server that answered. */
  server: ServerFacts;
  /** The servers that hold the streams; empty without a NATS cluster. */
  servers: { name: string; isUp: boolean }[];
  protocol: ProtocolRange;
  streams: StreamReport[];
  lanes: LaneStatus[];
  nodes: NodeView[];
  agents: AgentView[];
  /** The node that does the chores, and how they go; null while no node does. */
  chores: LeaseRecord | null;
  /** Parts that could not be read; they are empty here. */
  unread: { part: string; why: string }[];
  /** Messages of the queue that are in no lane; absent where they were not counted. */
  outsideLanes?: number;
}

export interface LaneStatus extends LaneInfo {
  /** Age of the oldest task that has not ended; null in an empty lane. */
  oldestMs: number | null;
  /** Whether a live node that takes tasks can serve it. */
  isServed: boolean;
}

/** Throws `unavailable`, or `not_found` on a server on which orch was never used. */
export async function readFacts(bus: Bus): Promise<ClusterFacts> {
  const unread: ClusterFacts['unread'] = [];
  // A stream without a leader makes only its own part unreadable.
  const part = <T>(name: string, read: Promise<T>, instead: T): Promise<T> =>
    read.catch((error: unknown) => {
      if (!(error instanceof OrchError && error.code === 'unavailable')) throw error;
      unread.push({ part: name, why: error.message });
      return instead;
    });
  const [server, streams, laneInfos, nodes, protocol, chores] = await Promise.all([
    bus.server.facts(),
    bus.streams.inspect(),
    part('lanes', bus.lanes.list(), []),
    part('nodes', lookAtNodes(bus), []),
    part('protocol', bus.streams.protocol(), PROTOCOL),
    part('chores', readLease(bus, CHORES_LEASE), null),
  ]);
  const agents = await part('agents', listAgents(bus, nodes), []);
  const lanes = await part('lanes', Promise.all(laneInfos.map(lane => laneStatus(bus, lane, nodes))), []);
  return { server, servers: serversOf(streams), protocol, streams, lanes, nodes, agents, chores, unread };
}

/** The facts about a server on which some of orch's streams do not exist. */
export async function readServerFacts(bus: Bus, streams: StreamReport[]): Promise<ClusterFacts> {
  const server = await bus.server.facts();
  const nothing = { lanes: [], nodes: [], agents: [], chores: null, unread: [] };
  return { server, servers: serversOf(streams), protocol: PROTOCOL, streams, ...nothing };
}

async function laneStatus(bus: Bus, lane: LaneInfo, nodes: readonly NodeView[]): Promise<LaneStatus> {
  const isEmpty = lane.waiting + lane.inFlight === 0;
  const oldest = isEmpty ? undefined : await bus.streams.first(TASKS, laneFilter(lane.priority, lane.lane));
  return {
    ...lane,
    oldestMs: oldest ? Math.max(0, Date.now() - oldest.time.getTime()) : null,
    isServed: lane.idleWorkers > 0 || nodes.some(node => canServe(node, lane.lane)),
  };
}

function serversOf(streams: readonly StreamReport[]): ClusterFacts['servers'] {
  const servers = new Map<string, boolean>();
  for (const { peers } of streams)
    for (const { name, isUp } of peers) servers.set(name, isUp && servers.get(name) !== false);
  return [...servers].map(([name, isUp]) => ({ name, isUp })).sort((a, b) => a.name.localeCompare(b.name));
}
