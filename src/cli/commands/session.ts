// `orch session start`: where to talk to an agent, resolved once.

import { listAgents } from '../../cluster/index.ts';
import { askNode } from '../../nodes/index.ts';
import {
  MEMORY_VERBS,
  memorySubject,
  notFoundError,
  OrchError,
  parseId,
  quoted,
} from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { colors, printJson, printLine } from '../print.ts';

export const session = command({
  name: 'session',
  description: 'Find the node that owns an agent, once, and say where to talk to it.',
  args: {
    action: { type: 'positional', required: true, description: 'start' },
    agent: { type: 'string', valueHint: 'agent', required: true, description: 'the agent' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch session start --agent alice',
    'orch session start --agent alice --json | jq -r .subjects.recall',
  ],
  async run(args) {
    if (args.action !== 'start')
      throw new OrchError('usage', `${quoted(args.action)} is not allowed: use start`);
    const id = parseId(args.agent, '--agent');
    const found = await withBus(args, async bus => {
      const agents = await listAgents(bus);
      const agent = agents.find(known => known.id === id);
      if (!agent)
        throw notFoundError(
          'agent',
          id,
          agents.map(known => known.id),
        );
      const node = agent.hasDaemon ? await askNode(bus, agent.owner, 'ping') : undefined;
      return { agent, node };
    });
    const { agent, node } = found;
    const subjects = Object.fromEntries(MEMORY_VERBS.map(verb => [verb, memorySubject(id, verb)]));
    const where = {
      agent: id,
      node: agent.owner,
      host: agent.host,
      visibility: agent.visibility,
      ...(node === undefined ? {} : { incarnation: node.incarnation, protocol: node.protocol, subjects }),
    };
    if (args.json) return printJson(where);
    printLine(`agent ${colors.bold(id)} is owned by ${agent.owner} on ${agent.host}`);
    if (node)
      printLine(
        `ask it on agent.${id}.{${MEMORY_VERBS.join(',')}}, protocol ${node.protocol.min}-${node.protocol.max}`,
      );
    else printLine('it has no daemon, and so no memory that can be asked');
  },
});
