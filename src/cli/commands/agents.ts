// `orch agents`, and `orch agents resolve <agent>`
import { type AgentAddress, listAgents, resolveAgent } from '../../cluster/index.ts';
import {
  AGENT_STATUSES,
  type AgentStatus,
  didYouMean,
  OrchError,
  parseId,
  quoted,
} from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, colors, printJson, printLine, printTable, safe } from '../print.ts';

export const agents = command({
  details: [
    `Without an action, lists all agents with their owners and what they do: ${AGENT_STATUSES.join(', ')}.`,
    'resolve asks the node that owns an agent, and prints the subjects of its memory.',
  ].join('\n'),
  args: {
    action: { type: 'positional', required: false, description: 'resolve (default list)' },
    agent: { type: 'positional', required: false, description: 'with resolve: the agent' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch agents',
    'orch agents --json | jq -r \'.[] | select(.status == "stalled").id\'',
    'orch agents resolve alice',
    'orch agents resolve alice --json | jq -r .subjects.recall',
  ],
  async run(args) {
    if (args.action === undefined) return list(args);
    if (args.action !== 'resolve')
      throw new OrchError(
        'usage',
        `${quoted(args.action)} is not allowed: use resolve, or no action`,
        didYouMean(args.action, ['resolve']),
      );
    if (args.agent === undefined)
      throw new OrchError('usage', 'resolve needs an agent', { advice: 'orch agents resolve <agent>' });
    const id = parseId(args.agent, 'agent');
    const address = await withBus(args, bus => resolveAgent(bus, id));
    if (args.json) printJson(address);
    else printAddress(address);
  },
});

type Flags = { json?: boolean | undefined } & Parameters<typeof withBus>[0];

async function list(flags: Flags): Promise<void> {
  const all = await withBus(flags, bus => listAgents(bus));
  if (flags.json) return printJson(all);
  if (all.length === 0) return printLine('no agents: start a node with some, `orch worker --agents alice`');
  printTable(
    ['AGENT', 'STATUS', 'TASK', 'OWNER', 'VISIBILITY', 'SINCE', 'HOST'],
    all.map(({ id, status, task, owner, hasDaemon, visibility, group, since, host }) => [
      id,
      STATUS_COLORS[status](status),
      task ?? '-',
      hasDaemon ? owner : `${owner} ${colors.dim('(no daemon)')}`,
      group === undefined ? visibility : `group ${group}`,
      age(since),
      safe(host),
    ]),
  );
}

const STATUS_COLORS: Record<AgentStatus, (text: string) => string> = {
  idle: colors.cyan,
  working: colors.blue,
  blocked: colors.magenta,
  done: colors.green,
  error: colors.red,
  stalled: colors.yellow,
};

function printAddress({ agent, node, host, protocol, subjects }: AgentAddress): void {
  printLine(`agent ${colors.bold(agent)} is owned by ${node} on ${safe(host)}`);
  if (subjects && protocol) {
    printLine(`requests to its memory, protocol ${protocol.min}-${protocol.max}:`);
    for (const [verb, subject] of Object.entries(subjects)) printLine(`  ${verb.padEnd(8)}  ${subject}`);
  } else printLine('it has no daemon, and so no memory');
}
