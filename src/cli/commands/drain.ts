// `orch drain`, `orch pause`, `orch resume`: requests to one node, each printed as the state that the node is in after it.
import { askNode } from '../../nodes/index.ts';
import { DRAIN_TIMEOUT_MS_MAX, type NodeVerb, parseDuration, parseId } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';

const nodeArg = { type: 'positional', required: true, description: 'node id' } as const;

export const drainNode = command({
  name: 'drain',
  description:
    'Tell a node to take no more tasks; those that run finish, or are given back after a while. It stays.',
  args: {
    node: nodeArg,
    within: {
      type: 'string',
      valueHint: 'duration',
      description: "how long running tasks get (default: the node's --drain-timeout)",
    },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch drain build-3', 'orch drain build-3 --within 10m'],
  run: args =>
    tell(
      'drain',
      args,
      args.within === undefined
        ? {}
        : { timeoutMs: parseDuration(args.within, '--within', { maxMs: DRAIN_TIMEOUT_MS_MAX }) },
    ),
});

export const pauseNode = command({
  name: 'pause',
  description: 'Tell a node to take no more tasks; those that run go on.',
  args: { node: nodeArg, ...jsonArg, ...connectionArgs },
  examples: ['orch pause build-3'],
  run: args => tell('pause', args, {}),
});

export const resumeNode = command({
  name: 'resume',
  description: 'Tell a node that was drained or paused to take tasks again.',
  args: { node: nodeArg, ...jsonArg, ...connectionArgs },
  examples: ['orch resume build-3'],
  run: args => tell('resume', args, {}),
});

type TellArgs = { node: string; json?: boolean | undefined } & Parameters<typeof withBus>[0];

async function tell(verb: NodeVerb, args: TellArgs, body: Record<string, unknown>): Promise<void> {
  const id = parseId(args.node, 'node');
  const reply = await withBus(args, bus => askNode(bus, id, verb, body));
  if (args.json) printJson(reply);
  else printLine(`node ${id} is ${reply.state}, ${reply.running} running`);
}
