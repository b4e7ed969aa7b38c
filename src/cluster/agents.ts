// Agents as they are seen from here: who owns whom by the bucket, and what each does by its node's record.
import { readAgentRecord } from '../agents/index.ts';
import type { Bus } from '../bus/index.ts';
import { type NodeView, readNodes } from '../nodes/index.ts';
import { AGENTS, type AgentRecord, type NodeAgent } from '../protocol/index.ts';

/** An agent, who owns it, and what it does. */
export interface AgentView extends NodeAgent {
  /** The node that owns it, or who keeps it alive. */
  owner: string;
  host: string;
  /** False for an agent that was registered by hand. */
  hasDaemon: boolean;
  since: string;
}

/** All agents that are owned. What each does is in its node's record. */
export async function listAgents(bus: Bus, nodes?: readonly NodeView[]): Promise<AgentView[]> {
  const [keys, views] = await Promise.all([bus.buckets.open(AGENTS).list(), nodes ?? readNodes(bus)]);
  const agents = keys.flatMap(({ value }) => readAgentRecord(value) ?? []);
  return agents.map(agent => viewAgent(agent, views)).sort((a, b) => a.id.localeCompare(b.id));
}

function viewAgent(agent: AgentRecord, nodes: readonly NodeView[]): AgentView {
  const node = nodes.find(({ id }) => id === agent.node)?.record;
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
