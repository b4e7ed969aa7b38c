// `orch logs <id>`: the output of a task so far, and with -f as it comes.
import { isFinal, parseId } from '../../protocol/index.ts';
import { getTask, type OutputLine, outputToEnd, taskOutput, waitForTask } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from '../connection.ts';
import { printChunk } from '../output.ts';
import { printJson } from '../print.ts';
import { parseInteger } from '../task-flags.ts';

export const logs = command({
  details: 'What the task wrote to stderr, and its progress, go to stderr.',
  args: {
    id: { type: 'positional', required: true, description: 'task id' },
    follow: { type: 'boolean', alias: 'f', description: 'continue until the task ends' },
    attempt: { type: 'string', valueHint: 'n', description: 'only this attempt (default all)' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch logs nightly-1',
    'orch logs -f nightly-1',
    'orch logs nightly-1 --attempt 2 --json | jq -r ".lines[]"',
  ],
  async run(args) {
    const id = parseId(args.id, 'task id');
    const attempt =
      args.attempt === undefined ? undefined : parseInteger(args.attempt, '--attempt', 1, 1_000);
    const print = (chunk: OutputLine) => {
      if (attempt !== undefined && chunk.attempt !== attempt) return;
      if (args.json) printJson(chunk);
      else printChunk(chunk);
    };
    await withBus(args, async bus => {
      const record = await getTask(bus, id);
      if (!args.follow || isFinal(record.state)) {
        for await (const chunk of taskOutput(bus, id)) print(chunk);
        return;
      }
      const ctrlC = interrupted();
      for await (const chunk of outputToEnd(bus, id, waitForTask(bus, id, ctrlC), ctrlC)) print(chunk);
    });
  },
});
