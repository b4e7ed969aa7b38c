// `orch nodes`
import { lookAtNodes } from '../../nodes/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { NODE_COLUMNS, nodeRow } from '../node-rows.ts';
import { printJson, printLine, printTable } from '../print.ts';

export const nodes = command({
  details: 'Every node is pinged; one that does not answer is listed as silent.',
  args: {
    live: { type: 'boolean', description: 'list only nodes that answer' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch nodes', 'orch nodes --json | jq -r \'.[] | select(.presence == "lost").id\''],
  async run(args) {
    const all = (await withBus(args, bus => lookAtNodes(bus))).filter(
      ({ presence }) => !args.live || presence === 'live',
    );
    if (args.json) return printJson(all);
    if (all.length === 0) return printLine('no nodes: start one with `orch worker`');
    printTable(NODE_COLUMNS, all.map(nodeRow));
  },
});
