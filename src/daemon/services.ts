// The services of a node, in the order in which they start: it owns agents before it serves their memories, and takes
// tasks after that. A new service is one more line in `inOrder`.
import { hostname } from 'node:os';
import { AgentKeeper, type AgentSpec } from '../agents/index.ts';
import type { Bus } from '../bus/index.ts';
import type { Embedder } from '../memory/index.ts';
import { messageOf, type ProtocolRange } from '../protocol/index.ts';
import { allChores, type Chore, Janitor } from './chores/index.ts';
import { Memories } from './memories/index.ts';
import type { Logger, NodeService } from './service/index.ts';
import { Worker, type WorkerOptions } from './worker/index.ts';

export interface ServicesOptions extends Omit<WorkerOptions, 'agents' | 'onChange'> {
  /** The agents that the node is to own; default none. */
  ownedAgents?: readonly AgentSpec[];
  /** Where the memories of its agents are, and what finds by meaning in them; default: they have none. */
  memory?: { dir: string; embedder?: Embedder };
  /** Default: all. */
  chores?: readonly Chore[];
  /** How long the chores lease lives without a renewal, in milliseconds; default 20,000. */
  leaseTtlMs?: number;
}

/** What the services need to know about their node. */
export interface NodeFacts {
  incarnation: string;
  protocol: ProtocolRange;
  heartbeatMs: number;
  expiryMs: number;
  logger: Logger;
  /** A part of the node's record changed: announced at once, or within a second where it changes all the time. */
  onChange(how: 'soon' | 'seldom'): void;
  /** For how long the node's own heartbeats have been accepted, in milliseconds. */
  healthyForMs(): number;
}

export interface Services {
  worker: Worker;
  agents: AgentKeeper;
  janitor: Janitor;
  inOrder: readonly NodeService[];
}

/** Makes the services; none of them runs yet. Throws `usage` for options that are not allowed. */
export function makeServices(bus: Bus, options: ServicesOptions, facts: NodeFacts): Services {
  const worker = new Worker(bus, {
    ...options,
    agents: {
      assign: task => agents.assign(task),
      report: (agent, status) => agents.report(agent, status),
    },
    onChange: () => facts.onChange('seldom'),
  });
  const agents = agentKeeper(bus, options, facts, worker.node, how => {
    facts.onChange(how);
    void memories?.follow();
  });
  const memories = memoriesOf(bus, options, facts, worker.node, agents);
  const janitor = new Janitor(bus, {
    holder: { node: worker.node, incarnation: facts.incarnation },
    chores: options.chores ?? allChores(),
    logger: facts.logger,
    healthyForMs: facts.healthyForMs,
    ...(options.leaseTtlMs === undefined ? {} : { leaseTtlMs: options.leaseTtlMs }),
  });
  return { worker, agents, janitor, inOrder: [agents, ...(memories ? [memories] : []), worker, janitor] };
}

function agentKeeper(
  bus: Bus,
  { ownedAgents = [] }: ServicesOptions,
  { incarnation, expiryMs, heartbeatMs, logger }: NodeFacts,
  node: string,
  onChange: (how: 'soon' | 'seldom') => void,
): AgentKeeper {
  return new AgentKeeper(bus, {
    wanted: ownedAgents,
    owner: { node, incarnation, host: hostname() },
    ttlMs: expiryMs,
    everyMs: heartbeatMs,
    onChange,
    onConflict: (agent, owner) =>
      logger.warn({ agent, owner: owner.node, host: owner.host }, 'agent is owned elsewhere; waiting'),
    onError: (error, doing) => logger.warn({ error: messageOf(error) }, doing),
  });
}

function memoriesOf(
  bus: Bus,
  { memory, ownedAgents = [] }: ServicesOptions,
  { protocol, logger, onChange }: NodeFacts,
  node: string,
  keeper: AgentKeeper,
): Memories | undefined {
  if (!memory || ownedAgents.length === 0) return undefined;
  return new Memories(bus, {
    ...memory,
    node,
    version: __ORCH_VERSION__,
    protocol,
    keeper,
    logger,
    onChange: () => onChange('soon'),
  });
}
