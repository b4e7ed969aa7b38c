// `orch nodes`: who is there.
import { lookAtNodes, type NodeView } from '../../nodes/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, colors, printJson, printLine, printTable, safe } from '../print.ts';

export const nodes = command({
  name: 'nodes',
  description:
    'List nodes: those that are there, asked just now, and those that left or were lost within a day.',
  args: {
    live: { type: 'boolean', description: 'only those that are there and answer' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch nodes', 'orch nodes --json | jq -r \'.[] | select(.presence == "lost").id\''],
  async run(args) {
    const all = (await withBus(args, bus => lookAtNodes(bus))).filter(
      ({ presence }) => !args.live || presence === 'live',
    );
    if (args.json) return printJson(all);
    if (all.length === 0) return printLine('no nodes: `orch worker` makes this machine one');
    printTable(
      ['NODE', 'STATE', 'RUNNING', 'CPU', 'MEM', 'HEARD', 'HOST', 'CAPABILITIES', 'AGENTS'],
      all.map(nodeRow),
    );
  },
});

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

/** What it is now: its own word while it answers, and what became of it where it does not. */
export function nodeStateText({ presence, record }: NodeView): string {
  if (presence !== 'live') return presence === 'offline' ? colors.gray(presence) : colors.red(presence);
  const state = record?.state ?? 'ready';
  return state === 'ready' ? colors.green(state) : colors.yellow(state);
}
