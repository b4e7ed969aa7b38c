// `orch search <query>`
import { command } from '../command.ts';
import { printAnswer, questionArgs } from '../memory-flags.ts';

export const search = command({
  details: 'All words must match; "phrases", prefixes* and -excluded words are understood.',
  args: questionArgs,
  examples: [
    'orch search \'"blue green" deploy* -staging\' --as bob --from alice',
    'orch search ORA-00942 --as bob --all',
  ],
  run: args => printAnswer('search', args),
});
