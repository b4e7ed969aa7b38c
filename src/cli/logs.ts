// `orch logs <id>`: what a task printed, and with -f what it prints.
import { isFinal, parseId } from '../protocol/index.ts';
import { followOutput, followTask, getTask, type OutputLine, taskOutput } from '../tasks/index.ts';
import { command } from './command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from './connection.ts';
import { colors, printJson, safe } from './print.ts';
import { parseWhole } from './task-flags.ts';

/** After the final entry, the tail may still bring lines that were stored before it. */
const LAST_LINES_MS = 150;

export const logs = command({
  name: 'logs',
  description: 'Print what a task printed; stderr goes to stderr.',
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
      const stop = new AbortController();
      ctrlC.addEventListener('abort', () => stop.abort());
      const ended = (async () => {
        for await (const _ of followTask(bus, id, ctrlC));
        setTimeout(() => stop.abort(), LAST_LINES_MS);
      })();
      for await (const chunk of followOutput(bus, id, stop.signal)) print(chunk);
      await ended;
    });
  },
});

function printChunk(chunk: OutputLine): void {
  const to = chunk.stream === 'stderr' ? process.stderr : process.stdout;
  if (chunk.dropped > 0) process.stderr.write(colors.yellow(`... ${chunk.dropped} lines left out\n`));
  for (const line of chunk.lines) to.write(`${safe(line)}\n`);
}
