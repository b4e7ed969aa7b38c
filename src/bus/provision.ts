// Makes the streams, buckets and lanes that orch needs, and compares those that exist with what it would make.
// The first client provisions; doing it twice, or at the same time from many places, changes nothing.
import type {
  ClusterInfo,
  ConsumerConfig,
  ConsumerInfo,
  JetStreamManager,
  StreamConfig,
  StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  consumerInfoSubject,
  LANES_MAX,
  LEASE_METADATA,
  LEASE_MS_DEFAULT,
  laneConsumer,
  laneSettings,
  OrchError,
  type Priority,
  parseLaneConsumer,
  type StreamSettings,
  streamSettings,
  TASKS,
} from '../protocol/index.ts';
import { API_ERROR, apiErrorCode, toOrchError } from './errors.ts';

/** What the streams are like where they must be created; those that exist stay as they are. */
export interface ProvisionOptions {
  /** Copies of each stream: 1 on one server, 3 on a cluster; default 1. */
  replicas?: number;
  /** How long an attempt may stay silent, in milliseconds; fixed when ORCH_TASKS is created. Default 15,000. */
  leaseMs?: number;
}

/** Creates what is missing. An existing stream is left as it is, whatever its settings. */
export async function provision(manager: JetStreamManager, options: ProvisionOptions = {}): Promise<void> {
  for (const settings of streamSettings(options.leaseMs ?? LEASE_MS_DEFAULT)) {
    try {
      await manager.streams.add({
        ...settings,
        num_replicas: options.replicas ?? 1,
      } as unknown as Partial<StreamConfig> & { name: string });
    } catch (error) {
      const code = apiErrorCode(error);
      if (code === API_ERROR.replicasWithoutCluster) {
        throw new OrchError('usage', `${options.replicas} copies of a stream need a cluster of servers`, {
          advice: 'leave --replicas and ORCH_REPLICAS out on a single server',
        });
      }
      if (code !== API_ERROR.streamNameInUse)
        throw toOrchError(error, `cannot create stream ${settings.name}`);
    }
  }
}

export interface LaneInfo {
  priority: Priority;
  lane: string;
  consumer: string;
  /** Tasks that wait for a worker. */
  waiting: number;
  /** Tasks that were delivered and are not acknowledged: running, delayed or in backoff. */
  inFlight: number;
  /** Pulls that idle workers hold open. */
  idleWorkers: number;
  leaseMs: number;
}

/** All lanes, from the list of consumers. */
export async function listLanes(manager: JetStreamManager): Promise<LaneInfo[]> {
  const lanes: LaneInfo[] = [];
  for await (const info of manager.consumers.list(TASKS)) {
    const lane = laneInfo(info);
    if (lane) lanes.push(lane);
  }
  return lanes;
}

function laneInfo(info: ConsumerInfo): LaneInfo | undefined {
  const address = parseLaneConsumer(info.name);
  return (
    address && {
      ...address,
      consumer: info.name,
      waiting: info.num_pending,
      inFlight: info.num_ack_pending,
      idleWorkers: info.num_waiting,
      leaseMs: (info.config.ack_wait ?? 0) / 1_000_000,
    }
  );
}

/** One lane; undefined where no one has published to it yet. Asked without the manager, which takes long to load. */
export async function findLane(
  nc: NatsConnection,
  priority: Priority,
  lane: string,
  timeoutMs: number,
): Promise<LaneInfo | undefined> {
  const subject = consumerInfoSubject(TASKS, laneConsumer(priority, lane));
  try {
    const reply = await nc.request(subject, undefined, { timeout: timeoutMs });
    const info = reply.json<ConsumerInfo & { error?: { err_code: number; description: string } }>();
    if (info.error) throw Object.assign(new Error(info.error.description), { code: info.error.err_code });
    return laneInfo(info);
  } catch (error) {
    const failure = toOrchError(error, `cannot look up lane ${lane}`);
    if (failure.code === 'not_found') return undefined;
    throw failure;
  }
}

/** Creates a lane's consumer. Provisions first where even the queue is missing. */
export async function makeLane(
  manager: JetStreamManager,
  priority: Priority,
  lane: string,
  options: ProvisionOptions,
): Promise<void> {
  const tasks = await queueInfo(manager, options);
  if (tasks.state.consumer_count >= LANES_MAX) {
    throw new OrchError(
      'usage',
      `lane "${lane}" would be one more than ${LANES_MAX}, which is the most there can be`,
      {
        advice: 'use fewer different combinations of capabilities; `orch lanes` lists them',
      },
    );
  }
  const leaseMs = Number(tasks.config.metadata?.[LEASE_METADATA] ?? LEASE_MS_DEFAULT);
  try {
    await manager.consumers.add(TASKS, laneSettings(priority, lane, leaseMs) as unknown as ConsumerConfig);
  } catch (error) {
    if (apiErrorCode(error) !== API_ERROR.consumerExistsWithOtherConfig)
      throw toOrchError(error, `cannot create lane ${lane}`);
  }
}

async function queueInfo(manager: JetStreamManager, options: ProvisionOptions): Promise<StreamInfo> {
  try {
    return await manager.streams.info(TASKS).catch(async error => {
      if (apiErrorCode(error) !== API_ERROR.streamNotFound) throw error;
      await provision(manager, options);
      return manager.streams.info(TASKS);
    });
  } catch (error) {
    throw toOrchError(error, `cannot read stream ${TASKS}`);
  }
}

/** A peer that was silent for longer is away: peers send every second. */
const PEER_SILENCE_NS = 5_000_000_000;

export interface StreamReport {
  name: string;
  found: boolean;
  messages: number;
  bytes: number;
  replicas: number;
  /** False while there is an election, or no majority. */
  hasLeader: boolean;
  /** The servers that have a copy; none where there is no cluster. */
  peers: { name: string; isLeader: boolean; isUp: boolean; isCurrent: boolean }[];
  /** `max_age: 0, expected 2592000000000000` */
  differences: string[];
}

/** Compares each stream with what orch would create. One that does not answer is there, and has no leader. */
export function inspectStreams(manager: JetStreamManager): Promise<StreamReport[]> {
  return Promise.all(streamSettings().map(settings => inspectStream(manager, settings)));
}

async function inspectStream(manager: JetStreamManager, settings: StreamSettings): Promise<StreamReport> {
  let isLost = false;
  const info = await manager.streams.info(settings.name).catch(error => {
    if (apiErrorCode(error) === API_ERROR.streamNotFound) return undefined;
    const failure = toOrchError(error, `cannot read stream ${settings.name}`);
    if (failure.code !== 'unavailable') throw failure;
    isLost = true;
    return undefined;
  });
  return {
    name: settings.name,
    found: isLost || info !== undefined,
    messages: info?.state.messages ?? 0,
    bytes: info?.state.bytes ?? 0,
    replicas: info?.config.num_replicas ?? 0,
    hasLeader: info !== undefined && (info.cluster === undefined || info.cluster.leader !== undefined),
    peers: peersOf(info?.cluster),
    differences: info ? differences(settings, info.config as unknown as Record<string, unknown>) : [],
  };
}

function peersOf(cluster: ClusterInfo | undefined): StreamReport['peers'] {
  if (!cluster?.name) return [];
  const { leader, replicas = [] } = cluster;
  return [
    ...(leader ? [{ name: leader, isLeader: true, isUp: true, isCurrent: true }] : []),
    ...replicas.map(({ name, offline, current, active }) => ({
      name,
      isLeader: false,
      // The server calls a peer offline only after a long while.
      isUp: !offline && (current || active < PEER_SILENCE_NS),
      isCurrent: current,
    })),
  ];
}

function differences(expected: StreamSettings, found: Record<string, unknown>): string[] {
  const list: string[] = [];
  for (const [key, value] of Object.entries(expected)) {
    // The lease is the cluster's own choice, and prose is prose.
    if (key === 'metadata' || key === 'description') continue;
    if (!matches(value, found[key]))
      list.push(`${key}: ${JSON.stringify(found[key])}, expected ${JSON.stringify(value)}`);
  }
  return list;
}

// The server adds fields of its own to what it was given.
function matches(expected: unknown, found: unknown): boolean {
  if (Array.isArray(expected)) {
    return (
      Array.isArray(found) &&
      expected.length === found.length &&
      expected.every((item, i) => matches(item, found[i]))
    );
  }
  if (typeof expected === 'object' && expected !== null) {
    return Object.entries(expected).every(([key, value]) =>
      matches(value, (found as Record<string, unknown> | undefined)?.[key]),
    );
  }
  return expected === found;
}
