// Nodes as rows of a table, for `orch nodes`, `orch node`, `orch status` and `orch top`.
import type { NodeView } from '../nodes/index.ts';
import { age, colors, safe } from './print.ts';

/** The titles of the cells of `nodeRow`. */
export const NODE_COLUMNS = [
  'NODE',
  'STATE',
  'RUNNING',
  'CPU',
  'MEM',
  'SEEN',
  'HOST',
  'CAPABILITIES',
  'AGENTS',
] as const;

/** One node as cells. */
export function nodeRow(view: NodeView): string[] {
  const { id, record, heardAt, presence } = view;
  // A node that is gone runs nothing, whatever its last record counts.
  const now = presence === 'live' || presence === 'silent' ? record : undefined;
  const percent = (value: number | undefined) => (value === undefined ? '-' : `${Math.round(value)}%`);
  return [
    id,
    nodeStateText(view),
    now ? `${now.capacity.currentWorkers}/${now.capacity.maxWorkers}` : '-',
    percent(now?.metrics.cpuPercent),
    percent(now?.metrics.memoryPercent),
    age(heardAt.toISOString()),
    safe(record?.host ?? '-'),
    safe(record?.capabilities.join(',') || '-'),
    safe(record?.agents.map(agent => agent.id).join(',') || '-'),
  ];
}

/** The state that a live node reports, or why it is not live. */
export function nodeStateText({ presence, record }: NodeView): string {
  if (presence !== 'live') return presence === 'offline' ? colors.gray(presence) : colors.red(presence);
  const state = record?.state ?? 'ready';
  return state === 'ready' ? colors.green(state) : colors.yellow(state);
}

/** When the server stored its last heartbeat, and how fast it answers now. */
export function lastSeenText({ heardAt, answer }: NodeView): string {
  const answers = answer ? `, answers in ${answer.roundTripMs.toFixed(1)} ms` : '';
  return `${age(heardAt.toISOString())} ago${answers}`;
}
