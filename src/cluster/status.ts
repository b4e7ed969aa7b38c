// The cluster at a glance: servers, streams, lanes, nodes, agents, who does the chores, and what is degraded and why.
// It is asked for, not remembered: nodes are pinged as it is made, so that one that was killed a moment ago shows.
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

/** The shape of `orch status --json`. Times are ISO 8601, durations milliseconds. */
export interface ClusterStatus {
  at: string;
  /** The server that this was asked of. */
  server: ServerFacts;
  /** The servers that the streams live on; one, unnamed, where there is no cluster. */
  servers: { name: string; isUp: boolean }[];
  protocol: ProtocolRange;
  streams: StreamReport[];
  lanes: LaneStatus[];
  nodes: NodeView[];
  agents: AgentView[];
  /** Who does the chores, and how they go; null while nobody does. */
  chores: LeaseRecord | null;
  degraded: Degraded[];
}

export interface LaneStatus extends LaneInfo {
  /** Age of the oldest task that has not ended; null in an empty lane. */
  oldestMs: number | null;
  /** Whether a live node that takes tasks can serve it. */
  isServed: boolean;
}

/** Something that is not as it should be. */
export interface Degraded {
  /** `stream`, `server`, `lane`, `node`, `agent`, `chores`, or `unread`: a part of this picture could not be had. */
  what: string;
  /** Its name. */
  id: string;
  why: string;
}

/** Throws `unavailable`, or `not_found` where orch was never used on this server. */
export async function readStatus(bus: Bus): Promise<ClusterStatus> {
  const unread: Degraded[] = [];
  // A stream that has no leader at the moment hides a part of the picture, not all of it.
  const part = <T>(id: string, read: Promise<T>, instead: T): Promise<T> =>
    read.catch((error: unknown) => {
      if (!(error instanceof OrchError && error.code === 'unavailable')) throw error;
      unread.push({ what: 'unread', id, why: error.message });
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
  const found = { server, servers: serversOf(streams), protocol, streams, lanes, nodes, agents, chores };
  return { at: new Date().toISOString(), ...found, degraded: [...unread, ...degradedIn(found)] };
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

function serversOf(streams: readonly StreamReport[]): ClusterStatus['servers'] {
  const servers = new Map<string, boolean>();
  for (const { peers } of streams)
    for (const { name, isUp } of peers) servers.set(name, isUp && servers.get(name) !== false);
  return [...servers].map(([name, isUp]) => ({ name, isUp })).sort((a, b) => a.name.localeCompare(b.name));
}

function degradedIn(found: Omit<ClusterStatus, 'at' | 'degraded'>): Degraded[] {
  return [
    ...found.servers.flatMap(({ name, isUp }) =>
      isUp ? [] : [{ what: 'server', id: name, why: 'is away; the streams have a copy less' }],
    ),
    ...found.streams.flatMap(degradedStream),
    ...found.lanes.flatMap(degradedLane),
    ...found.nodes.flatMap(degradedNode),
    ...found.nodes.flatMap(node => contendedAgents(node, found.agents)),
    ...degradedChores(found),
  ];
}

function degradedStream({ name, found, replicas, hasLeader, peers, differences }: StreamReport): Degraded[] {
  const list: string[] = [];
  if (!found) list.push('does not exist; a worker that starts creates it');
  else if (!hasLeader) list.push('has no leader: nothing can be written');
  const behind = peers.filter(({ isUp, isCurrent }) => isUp && !isCurrent).map(peer => peer.name);
  if (behind.length > 0) list.push(`${behind.join(', ')} ${behind.length === 1 ? 'is' : 'are'} behind`);
  const up = peers.filter(({ isUp }) => isUp).length;
  if (peers.length > 0 && up < replicas) list.push(`${up} of ${replicas} copies are up`);
  if (differences.length > 0) list.push(`has other settings: ${differences.join('; ')}`);
  return list.map(why => ({ what: 'stream', id: name, why }));
}

function degradedLane({ consumer, waiting, isServed, lane }: LaneStatus): Degraded[] {
  if (isServed || waiting === 0) return [];
  const tasks = waiting === 1 ? '1 task waits' : `${waiting} tasks wait`;
  const needed = lane === 'any' ? 'a worker' : `--caps ${lane.replaceAll('+', ',')}`;
  return [{ what: 'lane', id: consumer, why: `${tasks} and no live node can serve it: ${needed} is needed` }];
}

function degradedNode({ id, presence, why, record }: NodeView): Degraded[] {
  if (presence === 'live') {
    const state = record?.state;
    const idled = state === 'draining' || state === 'paused' ? [`is ${state}`] : [];
    return [...idled, ...(record?.problems ?? [])].map(why => ({ what: 'node', id, why }));
  }
  return presence === 'offline' ? [] : [{ what: 'node', id, why: `is ${presence}${why ? `: ${why}` : ''}` }];
}

function contendedAgents({ id, presence, record }: NodeView, agents: readonly AgentView[]): Degraded[] {
  if (presence !== 'live') return [];
  return (record?.waitingAgents ?? []).map(agent => {
    const owner = agents.find(known => known.id === agent)?.owner;
    return { what: 'agent', id: agent, why: `${id} waits for it${owner ? `, ${owner} owns it` : ''}` };
  });
}

function degradedChores({ chores, nodes }: Pick<ClusterStatus, 'chores' | 'nodes'>): Degraded[] {
  const couldDoThem = nodes.some(({ presence }) => presence === 'live');
  if (!chores) return couldDoThem ? [{ what: 'chores', id: CHORES_LEASE, why: 'nobody does them' }] : [];
  const holder = nodes.find(({ id }) => id === chores.node);
  const list: Degraded[] = Object.entries(chores.chores).flatMap(([id, { failures, error }]) =>
    failures > 0
      ? [{ what: 'chores', id, why: `failed ${failures} times: ${error ?? 'no reason given'}` }]
      : [],
  );
  if (holder && holder.presence !== 'live') {
    const why = `${chores.node} is ${holder.presence} and still holds the lease; it expires within 20 s`;
    list.unshift({ what: 'chores', id: CHORES_LEASE, why });
  }
  return list;
}
