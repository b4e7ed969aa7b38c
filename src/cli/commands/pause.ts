// `orch pause <node>`
import { command } from '../command.ts';
import { nodeRequestArgs, requestNode } from '../node-request.ts';

export const pauseNode = command({
  details: 'Running tasks continue. `orch resume` undoes it.',
  args: nodeRequestArgs,
  examples: ['orch pause build-3'],
  run: args => requestNode('pause', args),
});
