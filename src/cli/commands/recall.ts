// `orch recall` and `orch search`: what an agent knows, or what all do.
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askQuestion, printReply, type QuestionFlags, questionArgs } from '../memory-flags.ts';
import { printJson } from '../print.ts';

export const recall = command({
  name: 'recall',
  description: 'Ask a memory for what is most relevant, by words and, with an embedder, by meaning.',
  args: { ...questionArgs, ...askerArg, ...jsonArg, ...connectionArgs },
  examples: [
    'orch recall "how do we deploy" --as bob --from alice',
    'orch recall "flaky tests" --as bob --all --deadline 2s',
    "orch recall \"$TASK\" --json | jq -r '.items[].content'   # within a task: ORCH_AGENT's own memory",
  ],
  run: args => run('recall', args),
});

export const search = command({
  name: 'search',
  description: 'Search a memory for what contains all words, "phrases" and prefixes*, and no -excluded ones.',
  args: { ...questionArgs, ...askerArg, ...jsonArg, ...connectionArgs },
  examples: [
    'orch search \'"blue green" deploy* -staging\' --as bob --from alice',
    'orch search ORA-00942 --as bob --all',
  ],
  run: args => run('search', args),
});

async function run(
  kind: 'recall' | 'search',
  args: QuestionFlags & { json?: boolean | undefined } & Parameters<typeof withBus>[0],
): Promise<void> {
  const reply = await withBus(args, bus => askQuestion(bus, kind, args));
  if (args.json) printJson(reply);
  else printReply(reply);
}
