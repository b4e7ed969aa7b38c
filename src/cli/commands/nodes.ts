// `orch nodes`: who is there.
import { lookAtNodes } from '../../nodes/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { nodeRow } from '../node-rows.ts';
import { printJson, printLine, printTable } from '../print.ts';

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
