// The streams and buckets of orch as data, with the reason for each setting that is not a default. The bus turns
// them into server configuration; `orch doctor` compares what it finds with them.
import type { Priority } from './names.ts';
import {
  anyTaskSubject,
  boardSubject,
  bucketFilter,
  deadSubject,
  decidedFilter,
  eventsFilter,
  journalFilter,
  laneConsumer,
  laneFilter,
  outputFilter,
  queuedSubject,
} from './subjects.ts';
import { formatProtocol, PROTOCOL, PROTOCOL_METADATA } from './version.ts';

export const TASKS = 'ORCH_TASKS';
export const JOURNAL = 'ORCH_JOURNAL';
export const DEAD = 'ORCH_DEAD';
export const OUTPUT = 'ORCH_OUTPUT';
export const BOARD = 'KV_orch-board';
export const NODES = 'KV_orch-nodes';
export const AGENTS = 'KV_orch-agents';
export const LEASES = 'KV_orch-leases';
export const RESULTS_BUCKET = 'orch-results';

export const SERVER_VERSION_MIN = '2.12.0';
/** Releases below this one have published vulnerabilities; fine on loopback. */
export const SAFE_SERVER_VERSION = '2.14.3';
export const LEASE_MS_DEFAULT = 15_000;
export const LEASE_MS_MIN = 1_000;
export const LEASE_MS_MAX = 3_600_000;
export const LANES_MAX = 256;
/** Tasks in flight, in backoff or delayed in one lane; past it the lane would stand still. */
export const MAX_ACK_PENDING = 200_000;
/** One waiting pull an idle worker; the server's default of 512 cannot be raised later. */
export const MAX_WAITING = 10_000;
export const JOURNAL_AGE_DAYS = 30;
export const OUTPUT_AGE_DAYS = 7;
/** How long a bucket remembers that a key expired or was deleted. */
export const MARKER_MS = 60_000;
export const BUCKET_BYTES_MAX = 256 * 1024 ** 2;
export const BUCKET_VALUE_BYTES_MAX = 128 * 1024;
/** Where the one lease length of a cluster is kept, in milliseconds: the metadata of ORCH_TASKS. */
export const LEASE_METADATA = 'orch.lease_ms';
/** The priority group of every lane consumer: a pull states how specialised its worker is. */
export const PRIORITY_GROUP = 'workers';

const DAY_NS = 86_400 * 1_000_000_000;

/** A stream's configuration in the words of the JetStream API; times in nanoseconds. */
export interface StreamSettings {
  name: string;
  description: string;
  subjects?: string[];
  retention: 'limits' | 'workqueue';
  storage: 'file' | 'memory';
  discard: 'old' | 'new';
  allow_direct: true;
  max_age?: number;
  max_bytes?: number;
  max_msg_size?: number;
  max_msgs_per_subject?: number;
  max_consumers?: number;
  discard_new_per_subject?: boolean;
  deny_delete?: boolean;
  allow_rollup_hdrs?: boolean;
  allow_msg_ttl?: boolean;
  subject_delete_marker_ttl?: number;
  republish?: { src: string; dest: string };
  sources?: { name: string; subject_transforms: { src: string; dest: string }[] }[];
  metadata?: Record<string, string>;
}

/** All streams, in the order in which they are created: the board sources from the journal. */
export function streamSettings(leaseMs = LEASE_MS_DEFAULT): StreamSettings[] {
  return [
    {
      name: TASKS,
      description: 'orch: the queue, one message a task that is not final',
      subjects: [anyTaskSubject('*')],
      retention: 'workqueue',
      storage: 'file',
      // A second publish of a queued task is refused by the server itself, with no window in time.
      max_msgs_per_subject: 1,
      discard: 'new',
      discard_new_per_subject: true,
      allow_direct: true,
      max_msg_size: 1024 * 1024,
      // 2.15 stops at 1,000 consumers when this is left at -1.
      max_consumers: 5_000,
      metadata: { [LEASE_METADATA]: String(leaseMs), [PROTOCOL_METADATA]: formatProtocol(PROTOCOL) },
    },
    {
      name: JOURNAL,
      description: 'orch: the append-only truth about tasks, nodes and agents',
      subjects: [journalFilter],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      max_age: JOURNAL_AGE_DAYS * DAY_NS,
      // A task of 512 KiB and a result of 64 KiB fit.
      max_msg_size: 1024 * 1024,
      allow_direct: true,
      // What people tail is what the journal accepted, and nothing else.
      republish: { src: journalFilter, dest: eventsFilter },
    },
    {
      name: DEAD,
      description: 'orch: the queue messages of tasks that failed for good, kept for an operator’s retry',
      subjects: [deadSubject('*')],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      max_age: JOURNAL_AGE_DAYS * DAY_NS,
      max_msgs_per_subject: 1,
      max_msg_size: 1024 * 1024,
      allow_direct: true,
    },
    {
      name: OUTPUT,
      description: 'orch: what tasks print',
      subjects: [outputFilter('*')],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      max_age: OUTPUT_AGE_DAYS * DAY_NS,
      max_bytes: 4 * 1024 ** 3,
      max_msg_size: 256 * 1024,
      allow_direct: true,
    },
    {
      name: BOARD,
      description: 'orch: the last entry of each task, sourced from the journal',
      retention: 'limits',
      // An index: a single server that restarts loses it, and whoever provisions next has it made again.
      storage: 'memory',
      discard: 'old',
      max_msgs_per_subject: 1,
      max_age: JOURNAL_AGE_DAYS * DAY_NS,
      max_bytes: 256 * 1024 ** 2,
      allow_direct: true,
      sources: [
        {
          name: JOURNAL,
          subject_transforms: [
            { src: decidedFilter('*'), dest: boardSubject('{{wildcard(1)}}') },
            { src: queuedSubject('*', '*', '*'), dest: boardSubject('{{wildcard(1)}}') },
          ],
        },
      ],
    },
    // Heartbeats are many and worth nothing after a restart: whoever lives is heard of again at once.
    bucketSettings(NODES, 'orch: which nodes are there; a key is a node and expires', 'memory'),
    // What is owned stays owned while a server restarts.
    bucketSettings(AGENTS, 'orch: which node owns an agent; a key is an agent and expires', 'file'),
    bucketSettings(
      LEASES,
      'orch: which node does what only one may do; a key is a chore and expires',
      'file',
    ),
  ];
}

// A KV bucket whose keys expire each at a time of its own, and leave a marker that watchers see.
function bucketSettings(name: string, description: string, storage: 'file' | 'memory'): StreamSettings {
  return {
    name,
    description,
    subjects: [bucketFilter(name)],
    retention: 'limits',
    storage,
    max_msgs_per_subject: 1,
    discard: 'new',
    max_bytes: BUCKET_BYTES_MAX,
    max_msg_size: BUCKET_VALUE_BYTES_MAX,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: MARKER_MS * 1_000_000,
  };
}

/** A lane consumer's configuration in the words of the JetStream API; times in nanoseconds. */
export interface LaneSettings {
  durable_name: string;
  filter_subject: string;
  ack_policy: 'explicit';
  ack_wait: number;
  max_deliver: -1;
  max_ack_pending: number;
  max_waiting: number;
  priority_groups: string[];
  priority_policy: 'prioritized';
}

/** The one consumer of a lane, shared by all workers that can serve it. */
export function laneSettings(priority: Priority, lane: string, leaseMs: number): LaneSettings {
  return {
    durable_name: laneConsumer(priority, lane),
    filter_subject: laneFilter(priority, lane),
    ack_policy: 'explicit',
    ack_wait: leaseMs * 1_000_000,
    // Attempts are counted in the journal: a delivery count is lost when a single server is killed.
    max_deliver: -1,
    max_ack_pending: MAX_ACK_PENDING,
    max_waiting: MAX_WAITING,
    priority_groups: [PRIORITY_GROUP],
    priority_policy: 'prioritized',
  };
}
