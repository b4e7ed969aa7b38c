// `orch resume <node>`
import { command } from '../command.ts';
import { nodeRequestArgs, requestNode } from '../node-request.ts';

export const resumeNode = command({
  args: nodeRequestArgs,
  examples: ['orch resume build-3'],
  run: args => requestNode('resume', args),
});
