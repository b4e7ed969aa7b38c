// Makes the streams, buckets and lanes that orch needs, and says how those that exist differ from what it would make.
// Whoever comes first provisions; doing it twice, or at the same time from many places, changes nothing.
import {
  type ConsumerConfig,
  type ConsumerInfo,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import {
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

export interface ProvisionOptions {
  /** Copies of each stream; 1 on one server, 3 on a cluster. */
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
      if (apiErrorCode(error) !== API_ERROR.streamNameInUse)
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

/** Creates a lane's consumer if it is not there. Provisions first where even the queue is missing. */
export async function ensureLane(
  manager: JetStreamManager,
  priority: Priority,
  lane: string,
  options: ProvisionOptions,
): Promise<void> {
  try {
    await manager.consumers.info(TASKS, laneConsumer(priority, lane));
    return;
  } catch (error) {
    if (apiErrorCode(error) === API_ERROR.streamNotFound) await provision(manager, options);
    else if (apiErrorCode(error) !== API_ERROR.consumerNotFound)
      throw toOrchError(error, `cannot look up lane ${lane}`);
  }
  const tasks = await manager.streams.info(TASKS).catch(error => {
    throw toOrchError(error, `cannot read stream ${TASKS}`);
  });
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

export interface StreamReport {
  name: string;
  found: boolean;
  messages: number;
  bytes: number;
  replicas: number;
  /** `max_age: 0, expected 2592000000000000` */
  differences: string[];
}

/** Compares each stream with what orch would create. */
export async function inspectStreams(manager: JetStreamManager): Promise<StreamReport[]> {
  const reports: StreamReport[] = [];
  for (const settings of streamSettings()) {
    const info = await manager.streams.info(settings.name).catch(error => {
      if (error instanceof JetStreamApiError && error.code === API_ERROR.streamNotFound) return undefined;
      throw toOrchError(error, `cannot read stream ${settings.name}`);
    });
    reports.push({
      name: settings.name,
      found: info !== undefined,
      messages: info?.state.messages ?? 0,
      bytes: info?.state.bytes ?? 0,
      replicas: info?.config.num_replicas ?? 0,
      differences: info ? differences(settings, info.config as unknown as Record<string, unknown>) : [],
    });
  }
  return reports;
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
