// `orch lanes`
import { PRIORITIES } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { colors, printJson, printLine, printTable } from '../print.ts';

export const lanes = command({
  args: { ...jsonArg, ...connectionArgs },
  examples: ['orch lanes', "orch lanes --json | jq '.[] | select(.waiting > 0 and .idleWorkers == 0)'"],
  async run(args) {
    const all = await withBus(args, bus => bus.lanes.list());
    all.sort(
      (a, b) =>
        a.lane.localeCompare(b.lane) || PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority),
    );
    if (args.json) return printJson(all);
    if (all.length === 0) return printLine('no lanes: the first task of a lane creates it');
    printTable(
      ['LANE', 'PRIORITY', 'WAITING', 'IN FLIGHT', 'IDLE WORKERS'],
      all.map(({ lane, priority, waiting, inFlight, idleWorkers }) => [
        lane,
        priority,
        waiting > 0 && idleWorkers === 0 ? colors.yellow(String(waiting)) : String(waiting),
        String(inFlight),
        String(idleWorkers),
      ]),
    );
  },
});
