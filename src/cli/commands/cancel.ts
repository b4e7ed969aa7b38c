// `orch cancel <id>...`
import { OrchError, parseId } from '../../protocol/index.ts';
import { cancelTask } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { actorArg, actorOf, connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';

export const cancel = command({
  details: 'A running task is stopped.',
  args: {
    ids: { type: 'positional', description: 'task ids' },
    reason: { type: 'string', valueHint: 'text', description: 'why, for the journal (default none)' },
    ...jsonArg,
    ...actorArg,
    ...connectionArgs,
  },
  examples: [
    'orch cancel nightly-1',
    "orch tasks --state queued --lane any --json | jq -r '.[].id' | xargs orch cancel --reason 'wrong branch'",
  ],
  async run(args) {
    const ids = args._.map(id => parseId(id, 'task id'));
    await withBus(args, async bus => {
      const ended: string[] = [];
      for (const id of ids) {
        const outcome = await cancelTask(bus, id, actorOf(args), args.reason);
        if (args.json)
          printJson({ id, cancelled: outcome.kind === 'cancelled', state: outcome.record.state });
        else if (outcome.kind === 'cancelled') printLine(`${id} cancelled`);
        if (outcome.kind === 'final') ended.push(`${id} is ${outcome.record.state}`);
      }
      if (ended.length > 0) throw new OrchError('conflict', `${ended.join(', ')}: nothing to cancel`);
    });
  },
});
