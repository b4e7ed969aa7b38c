// `orch logs <id>`: what a task printed, and with -f what it prints.
import { isFinal, parseId } from '../../protocol/index.ts';
import { getTask, type OutputLine, outputToEnd, taskOutput, waitForTask } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from '../connection.ts';
import { printChunk } from '../output.ts';
import { printJson } from '../print.ts';
import { parseWhole } from '../task-flags.ts';

export const logs = command({
  name: 'logs',
  description: 'Print what a task printed; stderr and progress go to stderr.',
  args: {
    id: { type: 'positional', required: true, description: 'task id' },
    follow: { type: 'boolean', alias: 'f', description: 'go on until the task ends' },
    attempt: { type: 'string', valueHint: 'n', description: 'only this attempt' },
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
    const attempt = args.attempt === undefined ? undefined : parseWhole(args.attempt, '--attempt', 1, 1_000);
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
