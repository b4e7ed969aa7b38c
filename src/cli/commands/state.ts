// `orch state <repo>`: one repository, in multiclaude's shape.
import { readRepositoryState } from '../../cluster/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, printJson, printLine, printTable, safe, stateText } from '../print.ts';

export const state = command({
  args: {
    repo: { type: 'positional', required: true, description: 'the repository, as tasks name it' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch state my-repo', 'orch state my-repo --json | jq .agents'],
  async run(args) {
    const now = await withBus(args, bus => readRepositoryState(bus, args.repo));
    if (args.json) return printJson(now);
    const { repo, agents, running, pending } = now;
    printLine(
      `${safe(repo)}: ${Object.keys(agents).length} agents working, ${running.length} tasks running, ${pending.length} waiting`,
    );
    const tasks = [...running, ...pending];
    if (tasks.length === 0) return;
    printTable(
      ['TASK', 'STATE', 'LANE', 'NODE', 'AGE', 'DESCRIPTION'],
      tasks.map(task => [
        task.id,
        stateText(task.state),
        task.lane,
        task.node ?? '-',
        age(task.createdAt),
        safe(task.description ?? '').replace(/\s+/g, ' '),
      ]),
    );
  },
});
