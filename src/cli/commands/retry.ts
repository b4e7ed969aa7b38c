// `orch retry <id>...`
import { parseId } from '../../protocol/index.ts';
import { retryTask } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { actorArg, actorOf, connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';

export const retry = command({
  details: 'Each keeps its id, lane and input.',
  args: {
    ids: { type: 'positional', description: 'task ids' },
    ...jsonArg,
    ...actorArg,
    ...connectionArgs,
  },
  examples: ['orch retry nightly-1', "orch tasks --state failed --json | jq -r '.[].id' | xargs orch retry"],
  async run(args) {
    const ids = args._.map(id => parseId(id, 'task id'));
    await withBus(args, async bus => {
      for (const id of ids) {
        const record = await retryTask(bus, id, actorOf(args));
        if (args.json) printJson({ id, state: record.state, lane: record.lane });
        else printLine(`${id} queued again`);
      }
    });
  },
});
