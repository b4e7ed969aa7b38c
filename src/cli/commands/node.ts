// `orch node <id>`: one node, its agents and its running tasks.
import { lookAtNode, recentNodeEntries } from '../../nodes/index.ts';
import { parseId } from '../../protocol/index.ts';
import { listTasks } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { lastSeenText, nodeStateText } from '../node-rows.ts';
import { age, colors, printJson, printLine, safe, stateText } from '../print.ts';

export const node = command({
  args: {
    id: { type: 'positional', required: true, description: 'node id' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch node build-3', 'orch node build-3 --json | jq .record.metrics'],
  async run(args) {
    const id = parseId(args.id, 'node');
    const { view, tasks, last } = await withBus(args, async bus => {
      const view = await lookAtNode(bus, id);
      const states = ['claimed', 'started', 'blocked'] as const;
      const tasks = await listTasks(bus, { node: id, states });
      const last = (await recentNodeEntries(bus, new Date(Date.now() - 86_400_000))).get(id);
      return { view, tasks, last };
    });
    if (args.json) return printJson({ ...view, tasks, lastEvent: last });
    const { record, why } = view;
    const line = (title: string, text: string) => printLine(`${colors.dim(title.padEnd(13))} ${text}`);
    line('node', colors.bold(id));
    line('state', `${nodeStateText(view)}${why === undefined ? '' : `  ${safe(why)}`}`);
    line('last seen', lastSeenText(view));
    if (!record) return;
    line('host', safe(`${record.host}, ${record.os} ${record.arch}, process ${record.pid}`));
    line(
      'orch',
      safe(
        `${record.version}, protocol ${record.protocol.min}-${record.protocol.max}, incarnation ${record.incarnation}`,
      ),
    );
    line('started', `${age(record.startedAt)} ago`);
    line('running', `${record.capacity.currentWorkers} of ${record.capacity.maxWorkers}`);
    line('machine', `cpu ${record.metrics.cpuPercent}%, memory ${record.metrics.memoryPercent}%`);
    line('capabilities', safe(record.capabilities.join(', ') || 'none'));
    for (const problem of record.problems) line('problem', safe(problem));
    const labels = Object.entries(record.labels).map(([key, value]) => `${key}=${value}`);
    if (labels.length > 0) line('labels', safe(labels.join(', ')));
    for (const agent of record.agents)
      line(
        'agent',
        safe(
          `${agent.id}  ${agent.visibility}${agent.group ? ` ${agent.group}` : ''}  ${agent.status}  ${agent.task ?? ''}`,
        ),
      );
    for (const task of tasks)
      line(
        'task',
        `${task.id}  ${stateText(task.state)}  ${age(task.claimedAt)}  ${safe(task.description ?? '')}`,
      );
    if (last)
      line('last event', `${last.type} ${age(last.at)} ago${last.reason ? `: ${safe(last.reason)}` : ''}`);
  },
});
