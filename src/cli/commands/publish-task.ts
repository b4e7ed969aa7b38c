// `orch publish-task`: one task from arguments or stdin, or many from a file.
import { stat } from 'node:fs/promises';
import type { Bus } from '../../bus/index.ts';
import {
  formatDuration,
  laneOf,
  messageOf,
  OrchError,
  type Priority,
  parseDuration,
  type TaskRecord,
} from '../../protocol/index.ts';
import {
  outputToEnd,
  type Published,
  publishTask as publish,
  type TaskSpec,
  waitForTask,
} from '../../tasks/index.ts';
import { command } from '../command.ts';
import {
  actorArg,
  actorOf,
  interrupted,
  jsonArg,
  provisionArgs,
  taskConnectionArgs,
  withBus,
} from '../connection.ts';
import { forEachObject, openLines } from '../ndjson.ts';
import { printChunk } from '../output.ts';
import { colors, printJson, printLine, safe, stateText } from '../print.ts';
import { readStdin } from '../stdin.ts';
import { specFromFlags, taskArgs } from '../task-flags.ts';

export const publishTask = command({
  details: 'One worker that has the required capabilities runs it.',
  args: {
    inputs: {
      type: 'positional',
      required: false,
      description: 'input as text; `-` or nothing reads stdin',
    },
    ...taskArgs,
    input: { type: 'string', valueHint: 'json', description: 'input as JSON, instead of text' },
    from: {
      type: 'string',
      valueHint: 'file',
      description: 'publish each line of an NDJSON file (`-` = stdin); flags are defaults for all lines',
    },
    'require-worker': {
      type: 'boolean',
      description: 'publish only if a live node can run it now (else exit 6)',
    },
    wait: {
      type: 'boolean',
      description: 'print the output as it comes, and exit with the outcome of the task',
    },
    'wait-timeout': {
      type: 'string',
      valueHint: 'duration',
      description: 'with --wait: stop waiting after this, with exit 7 (default never)',
    },
    ...jsonArg,
    ...actorArg,
    ...provisionArgs,
    ...taskConnectionArgs,
  },
  examples: [
    "orch publish-task --caps rust 'cargo test --workspace'",
    'orch publish-task --caps freebsd,rust --priority high --timeout 10m --wait < build.sh',
    'orch publish-task --id nightly-2026-01-31 --input \'{"crate":"demo"}\' --json | jq -r .id',
    'orch publish-task --from tasks.ndjson',
  ],
  async run(args) {
    const actor = actorOf(args);
    const server = { ...args, timeout: args['server-timeout'] };
    if (args.from !== undefined) {
      if (args.wait || args.id !== undefined)
        throw new OrchError('usage', `--from cannot be used together with ${args.wait ? '--wait' : '--id'}`);
      const { from } = args;
      await withBus(server, bus =>
        publishFile(bus, from, specFromFlags(args, undefined), actor, args.json === true),
      );
      return;
    }
    const spec = specFromFlags(
      args,
      args.input === undefined ? await textInput(args._) : parseInput(args.input),
    );
    const waitMs =
      args['wait-timeout'] === undefined
        ? undefined
        : parseDuration(args['wait-timeout'], '--wait-timeout', { minMs: 1 });
    await withBus(server, async bus => {
      if (args['require-worker']) await requireWorker(bus, spec);
      const published = await publish(bus, spec, actor);
      if (published.created && !args['require-worker']) await warnIfUnserved(bus, published.record);
      if (!args.wait) return printPublished(published, args.json === true);
      if (!args.json)
        process.stderr.write(
          colors.dim(
            `task ${published.id} ${published.created ? 'published' : `exists, ${published.state}`}\n`,
          ),
        );
      reportOutcome(await follow(bus, published.id, waitMs, args.json === true), args.json === true);
    });
  },
});

// Whether a node can run the tasks of a lane now. Idle workers of the lane are proof; only without them are the nodes
// read, by code that is loaded for this.
async function isServed(bus: Bus, priority: Priority, lane: string): Promise<boolean> {
  if (((await bus.lanes.find(priority, lane))?.idleWorkers ?? 0) > 0) return true;
  const { canAnyServe } = await import('../../cluster/index.ts');
  return canAnyServe(bus, lane);
}

async function requireWorker(bus: Bus, { capabilities = [], priority = 'medium' }: TaskSpec): Promise<void> {
  const lane = laneOf(capabilities);
  if (await isServed(bus, priority, lane)) return;
  throw new OrchError('no_worker', `no known node can serve ${lane}; the task was not published`, {
    advice: '`orch nodes` lists the nodes and their capabilities',
  });
}

// A task that waits is no error, but its publisher should know. Where the nodes cannot be read, nothing is printed.
async function warnIfUnserved(bus: Bus, { priority, lane, id }: TaskRecord): Promise<void> {
  if (!(await isServed(bus, priority, lane).catch(() => true)))
    process.stderr.write(
      colors.yellow(`no known node can serve ${lane}: task ${id} waits until one joins\n`),
    );
}

async function textInput(words: readonly string[]): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === '-')) return words.join(' ');
  if (process.stdin.isTTY) {
    throw new OrchError('usage', 'no input given', {
      advice: "give it as an argument, on stdin, or with --input '<json>'",
    });
  }
  return readStdin();
}

function parseInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OrchError('usage', `--input is not valid JSON: ${messageOf(error)}`);
  }
}

function printPublished({ id, created, state, record }: Published, asJson: boolean): void {
  if (asJson) printJson({ id, created, state, lane: record.lane, priority: record.priority });
  else printLine(id);
  if (!created && !asJson) process.stderr.write(`task ${id} exists already, ${stateText(state)}\n`);
}

async function follow(
  bus: Bus,
  id: string,
  waitMs: number | undefined,
  asJson: boolean,
): Promise<TaskRecord> {
  const stop = new AbortController();
  const ctrlC = interrupted();
  const timer =
    waitMs === undefined
      ? undefined
      : setTimeout(
          () =>
            stop.abort(
              new OrchError(
                'timeout',
                `task ${id} has not ended within ${formatDuration(waitMs)}; it continues`,
                {
                  advice: `\`orch logs -f ${id}\` follows it`,
                },
              ),
            ),
          waitMs,
        );
  ctrlC.addEventListener('abort', () =>
    stop.abort(
      new OrchError('interrupted', `stopped waiting; task ${id} continues`, {
        advice: `\`orch logs -f ${id}\` follows it, \`orch cancel ${id}\` ends it`,
      }),
    ),
  );
  const ended = waitForTask(bus, id, stop.signal);
  try {
    if (!asJson) for await (const chunk of outputToEnd(bus, id, ended, stop.signal)) printChunk(chunk);
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}

function reportOutcome(record: TaskRecord, asJson: boolean): void {
  if (asJson) printJson(record);
  if (record.state === 'done') {
    if (!asJson && record.result !== undefined)
      printLine(typeof record.result === 'string' ? record.result : JSON.stringify(record.result));
    return;
  }
  throw new OrchError(
    'failed',
    `task ${record.id} ${record.state}${record.reason ? ` (${record.reason})` : ''}${record.error ? `: ${safe(record.error)}` : ''}`,
    {
      advice: `\`orch task ${record.id}\` shows its history`,
    },
  );
}

// An invalid line stops the file before a line below it is published.
async function publishFile(
  bus: Bus,
  file: string,
  defaults: TaskSpec,
  actor: string,
  asJson: boolean,
): Promise<void> {
  const { bar, onBytes } = await progressBar(file);
  const counts = { published: 0, existing: 0 };
  try {
    await forEachObject(openLines(file, onBytes), async value => {
      const { id, created, state } = await publish(bus, { ...defaults, ...value }, actor);
      counts[created ? 'published' : 'existing']++;
      if (asJson) printJson({ id, created, state });
    });
  } finally {
    bar?.stop();
    const existing = counts.existing > 0 ? `, ${counts.existing} existed already` : '';
    process.stderr.write(`${counts.published} tasks published${existing}\n`);
  }
}

async function progressBar(file: string): Promise<{ bar?: { stop(): void }; onBytes(bytes: number): void }> {
  if (!process.stderr.isTTY || file === '-') return { onBytes() {} };
  const size = await stat(file).then(
    stats => stats.size,
    () => 0,
  );
  const { default: progress } = await import('cli-progress');
  const bar = new progress.SingleBar({
    format: 'publishing {bar} {percentage}%',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(size, 0);
  return { bar, onBytes: bytes => bar.increment(bytes) };
}
