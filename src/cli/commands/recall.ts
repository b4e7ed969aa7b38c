// `orch recall <query>`
import { command } from '../command.ts';
import { printAnswer, questionArgs } from '../memory-flags.ts';

export const recall = command({
  details: 'Ranks by words and, where the node has an embedder, by meaning. Any of the words may match.',
  args: questionArgs,
  examples: [
    'orch recall "how do we deploy" --as bob --from alice',
    'orch recall "flaky tests" --as bob --all --deadline 2s',
    "orch recall \"$TASK\" --json | jq -r '.items[].content'   # within a task: ORCH_AGENT's own memory",
  ],
  run: args => printAnswer('recall', args),
});
