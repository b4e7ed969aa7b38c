// `orch tasks`
import {
  didYouMean,
  OrchError,
  parseDuration,
  parsePriority,
  quoted,
  TASK_STATES,
  type TaskState,
} from '../../protocol/index.ts';
import { listTasks, type TaskFilter } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, colors, printJson, printLine, printTable, safe, stateText } from '../print.ts';
import { parseInteger } from '../task-flags.ts';

export const tasks = command({
  args: {
    state: {
      type: 'string',
      valueHint: 'a,b',
      description: `only these states: ${TASK_STATES.join(', ')} (default all)`,
    },
    lane: {
      type: 'string',
      valueHint: 'lane',
      description: 'only this lane, such as freebsd+rust or any (default all)',
    },
    priority: { type: 'string', valueHint: 'p', description: 'only this priority (default all)' },
    node: {
      type: 'string',
      valueHint: 'id',
      description: 'only tasks whose last attempt is or was on this node (default all)',
    },
    repo: { type: 'string', valueHint: 'name', description: 'only tasks of this repository (default all)' },
    'older-than': {
      type: 'string',
      valueHint: 'duration',
      description: 'only tasks published longer ago than this (default all)',
    },
    limit: {
      type: 'string',
      valueHint: 'n',
      description: 'only the newest n (default 100; all with --json)',
    },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch tasks --state queued,retrying',
    'orch tasks --lane freebsd+rust --older-than 1h',
    "orch tasks --state failed --json | jq -r '.[].id'",
  ],
  async run(args) {
    const filter: TaskFilter = {
      ...(args.state === undefined ? {} : { states: args.state.split(',').map(parseState) }),
      ...(args.lane === undefined ? {} : { lane: args.lane }),
      ...(args.priority === undefined ? {} : { priority: parsePriority(args.priority) }),
      ...(args.node === undefined ? {} : { node: args.node }),
      ...(args.repo === undefined ? {} : { repo: args.repo }),
      ...(args['older-than'] === undefined
        ? {}
        : { olderThan: new Date(Date.now() - parseDuration(args['older-than'], '--older-than')) }),
    };
    const limit =
      args.limit === undefined
        ? args.json
          ? Number.POSITIVE_INFINITY
          : 100
        : parseInteger(args.limit, '--limit', 1, 1_000_000);
    const all = await withBus(args, bus => listTasks(bus, filter));
    const shown = all.slice(-limit);
    if (args.json) return printJson(shown);
    if (all.length === 0) return printLine('no tasks');
    printTable(
      ['TASK', 'STATE', 'PRIORITY', 'LANE', 'TRY', 'NODE', 'AGE', 'DESCRIPTION'],
      shown.map(task => [
        task.id,
        task.unservableSince === undefined
          ? stateText(task.state)
          : `${stateText(task.state)} ${colors.yellow('unserved')}`,
        task.priority,
        task.lane,
        task.attempt === undefined
          ? '-'
          : `${task.attempt}/${(task.maxAttempts ?? 0) + (task.forgiven ?? 0)}`,
        task.node ?? '-',
        age(task.createdAt),
        safe(task.description ?? '').replace(/\s+/g, ' '),
      ]),
    );
    if (shown.length < all.length)
      printLine(`... and ${all.length - shown.length} older; use --limit to list more`);
  },
});

function parseState(text: string): TaskState {
  const state = TASK_STATES.find(known => known === text.trim());
  if (state) return state;
  throw new OrchError(
    'usage',
    `--state ${quoted(text)} is not allowed: use ${TASK_STATES.join(', ')}`,
    didYouMean(text, TASK_STATES),
  );
}
