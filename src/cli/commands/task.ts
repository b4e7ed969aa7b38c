// `orch task <id>`
import type { Bus } from '../../bus/index.ts';
import { parseId } from '../../protocol/index.ts';
import { getTask, type OutputLine, taskHistory, taskOutput } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { age, colors, limitsText, printJson, printLine, printTable, safe, stateText } from '../print.ts';

const LINES_SHOWN = 20;

export const task = command({
  args: {
    id: { type: 'positional', required: true, description: 'task id' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch task nightly-1', "orch task nightly-1 --json | jq '.history[] | [.at, .type, .actor]'"],
  async run(args) {
    const id = parseId(args.id, 'task id');
    await withBus(args, async bus => {
      const [record, history, output] = await Promise.all([
        getTask(bus, id),
        taskHistory(bus, id),
        collect(bus, id),
      ]);
      const result = record.resultRef && (await bus.objects.get(record.resultRef));
      if (args.json)
        return printJson({
          task: record,
          history: history.map(({ task: _, nonce: _n, ...line }) => line),
          output,
        });
      printLine(`${colors.bold(record.id)}  ${stateText(record.state)}  ${record.priority}  ${record.lane}`);
      if (record.description) printLine(safe(record.description));
      const facts: [string, string | undefined][] = [
        ['published', `${record.createdAt} by ${record.createdBy} (${age(record.createdAt)} ago)`],
        [
          'attempt',
          `${record.attempt}, ${record.maxAttempts} allowed${record.forgiven > 0 ? `, ${record.forgiven} not counted` : ''}`,
        ],
        ['limits', limitsText(record)],
        ['node', record.node],
        ['not before', record.notBefore],
        ['reason', record.reason],
        ['error', record.error && safe(record.error)],
        ['question', record.question && safe(record.question)],
        ['exit code', record.exitCode === undefined ? undefined : String(record.exitCode)],
        ['result', record.result === undefined ? undefined : JSON.stringify(record.result).slice(0, 500)],
        [
          'result',
          result && `${result.length} bytes in ${record.resultRef?.bucket}/${record.resultRef?.name}`,
        ],
        ['repo', record.repo],
        ['trace', record.traceparent],
      ];
      for (const [name, value] of facts)
        if (value !== undefined) printLine(`  ${colors.dim(name.padEnd(10))} ${value}`);
      printLine();
      if (history.length > 0) {
        printTable(
          ['WHEN', 'WHAT', 'WHO', 'TRY', 'WHY'],
          history.map(line => [
            line.at,
            line.type,
            line.actor,
            String(line.task.attempt),
            safe(line.task.error ?? line.task.reason ?? '').replace(/\s+/g, ' '),
          ]),
        );
      }
      printOutputEnd(id, output);
    });
  },
});

async function collect(bus: Bus, id: string): Promise<OutputLine[]> {
  const chunks: OutputLine[] = [];
  for await (const chunk of taskOutput(bus, id)) chunks.push(chunk);
  return chunks;
}

function printOutputEnd(id: string, output: readonly OutputLine[]): void {
  const lines = output.flatMap(chunk =>
    chunk.lines.map(line => `${colors.dim(`${chunk.attempt}│`)} ${safe(line)}`),
  );
  if (lines.length === 0) return;
  printLine();
  if (lines.length > LINES_SHOWN)
    printLine(colors.dim(`... ${lines.length - LINES_SHOWN} lines above: \`orch logs ${id}\``));
  for (const line of lines.slice(-LINES_SHOWN)) printLine(line);
}
