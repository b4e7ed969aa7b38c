// `orch agents`: who owns whom, and what each does.
import { listAgents } from '../../cluster/index.ts';
import { AGENT_STATUSES, type AgentStatus } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, colors, printJson, printLine, printTable, safe } from '../print.ts';

export const agents = command({
  name: 'agents',
  description: `List agents, their owners and what they do: ${AGENT_STATUSES.join(', ')}.`,
  args: { ...jsonArg, ...connectionArgs },
  examples: ['orch agents', 'orch agents --json | jq -r \'.[] | select(.status == "stalled").id\''],
  async run(args) {
    const all = await withBus(args, bus => listAgents(bus));
    if (args.json) return printJson(all);
    if (all.length === 0) return printLine('no agents: `orch worker --agents alice` makes one');
    printTable(
      ['AGENT', 'STATUS', 'TASK', 'OWNER', 'VISIBILITY', 'SINCE', 'HOST'],
      all.map(({ id, status, task, owner, hasDaemon, visibility, group, since, host }) => [
        id,
        agentStatusText(status),
        task ?? '-',
        hasDaemon ? owner : `${owner} ${colors.dim('(no daemon)')}`,
        group === undefined ? visibility : `group ${group}`,
        age(since),
        safe(host),
      ]),
    );
  },
});

const STATUS_COLORS: Record<AgentStatus, (text: string) => string> = {
  idle: colors.cyan,
  working: colors.blue,
  blocked: colors.magenta,
  done: colors.green,
  error: colors.red,
  stalled: colors.yellow,
};

export const agentStatusText = (status: AgentStatus): string => STATUS_COLORS[status](status);
