// `orch drain <node>`
import { DRAIN_TIMEOUT_MS_MAX, parseDuration } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { nodeRequestArgs, requestNode } from '../node-request.ts';

export const drainNode = command({
  details:
    'What still runs after --within is given back to its lane. The node stays up; `orch resume` undoes it.',
  args: {
    within: {
      type: 'string',
      valueHint: 'duration',
      description: "time limit for running tasks (default the node's --drain-timeout)",
    },
    ...nodeRequestArgs,
  },
  examples: ['orch drain build-3', 'orch drain build-3 --within 10m'],
  run: args =>
    requestNode(
      'drain',
      args,
      args.within === undefined
        ? {}
        : { timeoutMs: parseDuration(args.within, '--within', { maxMs: DRAIN_TIMEOUT_MS_MAX }) },
    ),
});
