// `orch register-agent <agent>`: for agents that have no daemon of their own.
import { hostname } from 'node:os';
import { parseAgents, registerAgent, unregisterAgent } from '../../agents/index.ts';
import {
  AGENT_STATUSES,
  type AgentStatus,
  didYouMean,
  EXPIRY_MS_MIN,
  OrchError,
  parseDuration,
  parseId,
  quoted,
} from '../../protocol/index.ts';
import { command } from '../command.ts';
import { actorArg, actorOf, connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';

export const registerAgentCommand = command({
  details: 'Call it again before --ttl has passed to keep the registration.',
  args: {
    agent: { type: 'positional', required: true, description: 'name, name:shared or name:group=ops' },
    status: {
      type: 'string',
      valueHint: 's',
      description: `status: ${AGENT_STATUSES.join(', ')} (default unchanged, at first idle)`,
    },
    task: {
      type: 'string',
      valueHint: 'id',
      description: 'task that it works on (default unchanged, at first none)',
    },
    description: {
      type: 'string',
      valueHint: 'text',
      description: 'purpose, for people (default unchanged, at first none)',
    },
    ttl: {
      type: 'string',
      valueHint: 'duration',
      description: 'registration ends when not called again within this (default 90s)',
    },
    release: { type: 'boolean', description: 'end the registration' },
    ...actorArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch register-agent alice:shared --status working --task t-1',
    'while sleep 30; do orch register-agent alice; done',
    'orch register-agent alice --release',
  ],
  async run(args) {
    const [spec] = parseAgents([args.agent]);
    if (!spec) throw new OrchError('usage', 'an agent needs a name');
    const owner = actorOf(args);
    const host = hostname();
    // A call without a visibility keeps the one that was registered.
    const named = args.agent.includes(':') ? spec : { id: spec.id };
    const record = await withBus(args, bus =>
      args.release
        ? unregisterAgent(bus, { agent: spec.id, owner, host })
        : registerAgent(bus, {
            ...named,
            owner,
            host,
            ...(args.status === undefined ? {} : { status: parseStatus(args.status) }),
            ...(args.task === undefined ? {} : { task: parseId(args.task, '--task') }),
            ...(args.description === undefined ? {} : { description: args.description.slice(0, 1_024) }),
            ...(args.ttl === undefined
              ? {}
              : { ttlMs: parseDuration(args.ttl, '--ttl', { minMs: EXPIRY_MS_MIN, maxMs: 86_400_000 }) }),
          }),
    );
    if (args.json) printJson(record);
    else
      printLine(
        args.release
          ? `agent ${spec.id} released`
          : `agent ${spec.id} is registered to ${owner} for ${record.ttlMs / 1_000} s`,
      );
  },
});

function parseStatus(text: string): AgentStatus {
  const status = AGENT_STATUSES.find(known => known === text);
  if (status) return status;
  throw new OrchError(
    'usage',
    `--status ${quoted(text)} is not allowed: use ${AGENT_STATUSES.join(', ')}`,
    didYouMean(text, AGENT_STATUSES),
  );
}
