// Agents across rooms: who owns each by the bucket of agents, and what it does by the record of its node.
import { readAgentRecord } from '../agents/index.ts';
import type { Bus } from '../bus/index.ts';
import { askNode, type NodeView, readNodes } from '../nodes/index.ts';
import {
  AGENTS,
  type AgentRecord,
  MEMORY_VERBS,
  memorySubject,
  type NodeAgent,
  notFoundError,
  type ProtocolRange,
} from '../protocol/index.ts';

/** An agent, its owner, and what it does. */
export interface AgentView extends NodeAgent {
  /** The node that owns it, or the name under which it was registered. */
  owner: string;
  host: string;
  /** False for an agent that was registered by hand. */
  hasDaemon: boolean;
  since: string;
}

/** Where an agent can be reached. The last three are absent for an agent without a daemon. */
export interface AgentAddress {
  agent: string;
  node: string;
  host: string;
  visibility: AgentView['visibility'];
  incarnation?: string;
  protocol?: ProtocolRange;
  /** By verb: the subject of a request to its memory. */
  subjects?: Record<string, string>;
}

/** All agents that are owned. What an agent does is what its node reports. */
export async function listAgents(bus: Bus, nodes?: readonly NodeView[]): Promise<AgentView[]> {
  const [keys, views] = await Promise.all([bus.buckets.open(AGENTS).list(), nodes ?? readNodes(bus)]);
  const agents = keys.flatMap(({ value }) => readAgentRecord(value) ?? []);
  return agents.map(agent => viewAgent(agent, views)).sort((a, b) => a.id.localeCompare(b.id));
}

/**
 * Finds the owner of an agent, asks it whether it is there, and returns the subjects of its memory. Throws `not_found`
 * with the nearest name, or `unavailable` when the owner does not answer.
 */
export async function resolveAgent(bus: Bus, id: string): Promise<AgentAddress> {
  const agents = await listAgents(bus);
  const agent = agents.find(known => known.id === id);
  if (!agent)
    throw notFoundError(
      'agent',
      id,
      agents.map(known => known.id),
    );
  const { owner, host, visibility, hasDaemon } = agent;
  const address = { agent: id, node: owner, host, visibility };
  if (!hasDaemon) return address;
  const { incarnation, protocol } = await askNode(bus, owner, 'ping');
  const subjects = Object.fromEntries(MEMORY_VERBS.map(verb => [verb, memorySubject(id, verb)]));
  return { ...address, incarnation, protocol, subjects };
}

function viewAgent(agent: AgentRecord, nodes: readonly NodeView[]): AgentView {
  const node = nodes.find(({ id }) => id === agent.node)?.record;
  // A later incarnation of the node reports about agents of its own.
  const reported =
    node?.incarnation === agent.incarnation ? node.agents.find(({ id }) => id === agent.id) : agent;
  return {
    id: agent.id,
    visibility: agent.visibility,
    ...(agent.group === undefined ? {} : { group: agent.group }),
    status: reported?.status ?? 'idle',
    ...(reported?.task === undefined ? {} : { task: reported.task }),
    owner: agent.node ?? agent.incarnation,
    host: agent.host,
    hasDaemon: agent.node !== undefined,
    since: agent.since,
  };
}
