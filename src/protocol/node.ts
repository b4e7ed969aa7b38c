// Nodes and agents as data: a node's record in the bucket of nodes, the journal entries of nodes and agents, who owns an
// agent, who holds the chores lease, and the requests to a node with their reply. Unknown fields are kept, so that
// nothing of what a newer node writes is lost.
import * as z from 'zod';
import { CAPABILITIES_PER_WORKER_MAX } from './names.ts';
import { timestamp } from './time.ts';

export const HEARTBEAT_MS_DEFAULT = 5_000;
export const HEARTBEAT_MS_MIN = 200;
export const EXPIRY_MS_DEFAULT = 15_000;
export const EXPIRY_MS_MIN = 1_000;
export const EXPIRY_MS_MAX = 600_000;
/** The key of the one lease that all chores share. */
export const CHORES_LEASE = 'chores';
export const LEASE_TTL_MS = 20_000;
/** A lease that could not be renewed is given up this long before its key expires. */
export const LEASE_MARGIN_MS = 2_000;
export const AGENTS_PER_NODE_MAX = 256;
export const AGENT_TTL_MS_DEFAULT = 90_000;
export const NODE_LABELS_MAX = 32;
/** The longest time that a request to drain can give running tasks. */
export const DRAIN_TIMEOUT_MS_MAX = 86_400_000;

const Protocol = z
  .looseObject({
    min: z.int().min(1).describe('oldest protocol that is spoken'),
    max: z.int().min(1).describe('newest'),
  })
  .describe('`min` and `max`: oldest and newest protocol that it speaks');
export const VISIBILITIES = ['isolated', 'group', 'shared'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

export const AGENT_STATUSES = ['idle', 'working', 'blocked', 'done', 'error', 'stalled'] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

export const NODE_STATES = ['ready', 'draining', 'paused', 'incompatible'] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** What an agent is and does, wherever it is spoken of. */
const agentTerms = {
  id: z.string().describe('agent id'),
  visibility: z.enum(VISIBILITIES).default('isolated').describe('who may ask for its memory'),
  group: z.string().optional().describe('the group that may, where visibility is `group`'),
  status: z
    .enum(AGENT_STATUSES)
    .default('idle')
    .describe('`done`, `error` and `stalled` say how its last task ended; it is free for another'),
  task: z.string().optional().describe('the task it is on, or was on last'),
};

export const NodeAgent = z
  .looseObject(agentTerms)
  .describe('An agent in the record of the node that owns it.');
export type NodeAgent = z.infer<typeof NodeAgent>;

export const NodeRecord = z
  .looseObject({
    id: z.string().describe('node id, also the key'),
    incarnation: z.string().describe('new at each start of the daemon'),
    version: z.string().default('0').describe('version of orch'),
    protocol: Protocol,
    host: z.string().default('unknown').describe('name of the machine'),
    os: z.string().default('unknown').describe('such as `linux`'),
    arch: z.string().default('unknown').describe('such as `x64`'),
    pid: z.int().default(0).describe('process id of the daemon'),
    startedAt: timestamp().describe('start of this incarnation'),
    sentAt: timestamp().optional().describe('when this heartbeat was sent, by the node’s clock'),
    heartbeatMs: z.int().min(1).default(HEARTBEAT_MS_DEFAULT).describe('how often it writes its key'),
    expiryMs: z
      .int()
      .min(1)
      .default(EXPIRY_MS_DEFAULT)
      .describe('how long it may be silent: the TTL of the key'),
    capabilities: z.array(z.string()).max(CAPABILITIES_PER_WORKER_MAX).default([]).describe('what it can do'),
    labels: z
      .record(z.string().max(64), z.string().max(256))
      .refine(labels => Object.keys(labels).length <= NODE_LABELS_MAX, `at most ${NODE_LABELS_MAX} labels`)
      .default({})
      .describe('free key and value pairs'),
    capacity: z
      .looseObject({
        maxWorkers: z.int().min(0).default(1).describe('attempts at once'),
        currentWorkers: z.int().min(0).default(0).describe('attempts that run'),
      })
      .prefault({})
      .describe('`maxWorkers`: attempts at once; `currentWorkers`: attempts that run'),
    agents: z
      .array(NodeAgent)
      .max(AGENTS_PER_NODE_MAX)
      .default([])
      .describe('the agents it owns, see NodeAgent'),
    waitingAgents: z
      .array(z.string())
      .max(AGENTS_PER_NODE_MAX)
      .default([])
      .describe('agents that it is to own and that another owns'),
    features: z
      .array(z.string())
      .default([])
      .describe('what it can do beyond running tasks: `memory` where its agents have one'),
    problems: z
      .array(z.string())
      .default([])
      .describe('what does not work on this node, a line each: why its agents have no memory'),
    metrics: z
      .looseObject({ cpuPercent: z.number().default(0), memoryPercent: z.number().default(0) })
      .prefault({})
      .describe('`cpuPercent` and `memoryPercent` of the machine, 0 to 100'),
    state: z
      .enum(NODE_STATES)
      .default('ready')
      .describe('`ready` takes tasks, `paused` and `draining` take none, `incompatible` must not'),
  })
  .describe('The value of key `<node>` in the bucket `orch-nodes`: a heartbeat.');
export type NodeRecord = z.infer<typeof NodeRecord>;

export const NODE_EVENTS = {
  online: 'it joined, or was heard of again after it was lost',
  draining: 'it takes no more tasks and lets those that run finish',
  paused: 'it takes no more tasks; those that run go on',
  resumed: 'it takes tasks again',
  offline: 'it left in order',
  lost: 'its key expired: it died, hangs, or is cut off',
} as const;
export type NodeEventType = keyof typeof NODE_EVENTS;
export const NODE_EVENT_TYPES = Object.keys(NODE_EVENTS) as [NodeEventType, ...NodeEventType[]];

export const NodeEntry = z
  .looseObject({
    type: z.enum(NODE_EVENT_TYPES).describe('what happened, also a token of the subject'),
    at: timestamp().describe('when, by the writer’s clock'),
    actor: z.string().describe('who wrote it, also a token of the subject'),
    nonce: z.string().describe('makes the entry recognisable to its writer after a lost acknowledgement'),
    returned: z.boolean().optional().describe('with `online`: the same incarnation as before'),
    reason: z.string().optional().describe('why, for people'),
    lease: z.int().optional().describe('with `lost`: revision of the chore lease it was written under'),
    node: NodeRecord.describe('the record as it was last known, see NodeRecord'),
  })
  .describe('The payload on `journal.node.<node>.<type>.<actor>`, and so on `events.node.>`.');
export type NodeEntry = z.infer<typeof NodeEntry>;

export const AgentRecord = z
  .looseObject({
    ...agentTerms,
    node: z.string().optional().describe('the node that owns it; absent for an agent without a daemon'),
    incarnation: z.string().describe('of the node, or of the keeper that registered it'),
    host: z.string().default('unknown').describe('name of the machine'),
    since: timestamp().describe('when it was claimed'),
    ttlMs: z
      .int()
      .min(1)
      .default(AGENT_TTL_MS_DEFAULT)
      .describe('the TTL of the key: silent for longer, it is free'),
    description: z.string().max(1_024).optional().describe('what it is for'),
  })
  .describe('The value of key `<agent>` in the bucket `orch-agents`: who owns it.');
export type AgentRecord = z.infer<typeof AgentRecord>;

export const AGENT_EVENTS = {
  owned: 'a node took it',
  released: 'its owner let it go in order',
  conflict: 'a node that is to own it found another owner, and waits',
} as const;
export type AgentEventType = keyof typeof AGENT_EVENTS;
export const AGENT_EVENT_TYPES = Object.keys(AGENT_EVENTS) as [AgentEventType, ...AgentEventType[]];

export const AgentEntry = z
  .looseObject({
    type: z.enum(AGENT_EVENT_TYPES).describe('what happened, also a token of the subject'),
    at: timestamp().describe('when, by the writer’s clock'),
    actor: z.string().describe('the node that wrote it, also a token of the subject'),
    nonce: z.string().describe('makes the entry recognisable to its writer after a lost acknowledgement'),
    agent: AgentRecord.describe('the claim as it stands; with `conflict`: the other’s, see AgentRecord'),
  })
  .describe('The payload on `journal.agent.<agent>.<type>.<actor>`, and so on `events.agent.>`.');
export type AgentEntry = z.infer<typeof AgentEntry>;

export const ChoreCount = z.looseObject({
  rounds: z.int().default(0),
  done: z.int().default(0),
  failures: z.int().default(0),
  error: z.string().optional(),
});
export type ChoreCount = z.infer<typeof ChoreCount>;

export const LeaseRecord = z
  .looseObject({
    node: z.string().describe('the node that holds it'),
    incarnation: z.string().describe('of that node'),
    since: timestamp().describe('when it was taken'),
    chores: z
      .record(z.string(), ChoreCount)
      .default({})
      .describe(
        'for each chore: `rounds`, what it has `done`, `failures` since the last good round, the last `error`',
      ),
  })
  .describe('The value of a key in the bucket `orch-leases`: who does what only one may do.');
export type LeaseRecord = z.infer<typeof LeaseRecord>;

export const DrainRequest = z
  .looseObject({
    timeoutMs: z
      .int()
      .min(0)
      .max(DRAIN_TIMEOUT_MS_MAX)
      .optional()
      .describe(
        'how long running tasks get before they are given back to the queue; absent = the node’s own setting',
      ),
  })
  .describe('The request on `node.<node>.drain`; an empty payload means the same as `{}`.');
export type DrainRequest = z.infer<typeof DrainRequest>;

export const NodeReply = z
  .looseObject({
    node: z.string().describe('who answers'),
    incarnation: z.string().describe('which incarnation of it'),
    at: timestamp().describe('the node’s clock'),
    state: z.enum(NODE_STATES).describe('its state after what was asked'),
    running: z.int().describe('attempts that run'),
    protocol: Protocol,
    host: z.string().default('unknown').describe('name of the machine'),
    pid: z.int().default(0).describe('process id of the daemon'),
  })
  .describe('The reply on `nodes.ping` and on `node.<node>.ping`, `.drain`, `.pause` and `.resume`.');
export type NodeReply = z.infer<typeof NodeReply>;
