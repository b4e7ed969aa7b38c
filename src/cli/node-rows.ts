// A node as a row of a table, for `orch nodes`, `orch node`, `orch status` and `orch top`.
import type { NodeView } from '../nodes/index.ts';
import { age, colors, safe } from './print.ts';

/** The cells of a node: name, state, running, CPU, memory, last heartbeat, host, capabilities, agents. */
export function nodeRow(view: NodeView): string[] {
  const { id, record, heardAt, presence } = view;
  // What a node did that is gone, nobody does now.
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

/** A node's state: the one that it reports while it answers, else what became of it. */
export function nodeStateText({ presence, record }: NodeView): string {
  if (presence !== 'live') return presence === 'offline' ? colors.gray(presence) : colors.red(presence);
  const state = record?.state ?? 'ready';
  return state === 'ready' ? colors.green(state) : colors.yellow(state);
}
