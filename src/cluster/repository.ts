// One repository: the agents and nodes that are at work on it, what runs and what waits.
import type { Bus } from '../bus/index.ts';
import { isActive, isWaiting } from '../protocol/index.ts';
import { listTasks, type TaskLine } from '../tasks/index.ts';
import { listAgents } from './agents.ts';

/** The shape of `orch state --json`; the first four fields are multiclaude's. */
export interface RepositoryState {
  repo: string;
  /** Who is at work on it, by agent; where a node has no agent on a task, by node. */
  agents: Record<string, { node: string; status: string; task?: string }>;
  /** Tasks that wait, how many. */
  pending_tasks: number;
  /** Pull requests are not known to orch. */
  active_prs: null;
  running: TaskLine[];
  pending: TaskLine[];
}

/** Throws `unavailable`. A repository without tasks is empty. */
export async function readRepositoryState(bus: Bus, repo: string): Promise<RepositoryState> {
  const [tasks, known] = await Promise.all([listTasks(bus, { repo }), listAgents(bus)]);
  const running = tasks.filter(({ state }) => isActive(state));
  const pending = tasks.filter(({ state }) => isWaiting(state));
  const agents: RepositoryState['agents'] = {};
  for (const { id, node = 'unknown', state, description } of running) {
    const agent = known.find(
      ({ task, status }) => task === id && (status === 'working' || status === 'blocked'),
    );
    const status = agent?.status ?? (state === 'blocked' ? 'blocked' : 'working');
    agents[agent?.id ?? node] = { node, status, task: description || id };
  }
  return { repo, agents, pending_tasks: pending.length, active_prs: null, running, pending };
}
