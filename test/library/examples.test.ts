// What is shown to users compiles and runs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Orch } from '../../src/index.ts';
import { allExamples, compile, type Example, RESOLUTIONS, start } from '../support/examples.ts';
import { TestNats } from '../support/nats.ts';
import { until } from '../support/wait.ts';

const examples = allExamples();
const resolutions = Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[];
const named = (name: string): Example => {
  const example = examples.find(found => found.name === name);
  if (!example) throw new Error(`no example ${name}`);
  return example;
};

/** What a user would get wrong, each line of it refused. */
const MISUSE: Example = {
  name: 'misuse',
  text: `
    import { connect, Orch } from 'orch';
    import { TaskRecord, taskSubject } from 'orch/protocol';
    const orch = await connect();
    // @ts-expect-error: the bus stays behind the library
    await orch.purge('ORCH_JOURNAL', 'journal.>');
    // @ts-expect-error: so does every part of it
    await orch.streams.purge('ORCH_JOURNAL', 'journal.>');
    // @ts-expect-error: a connection is made by connect
    new Orch();
    // @ts-expect-error: a misspelt field
    await orch.publishTask({ capabilites: ['rust'] });
    // @ts-expect-error: a priority that there is not
    await orch.publishTask({ priority: 'urgent' });
    // @ts-expect-error: a question without a query
    await orch.memory({ as: 'alice' }).recall({ limit: 3 });
    // @ts-expect-error: a field that records do not have
    (await orch.getTask('t-1')).reslt;
    // @ts-expect-error: a worker needs something that runs its tasks
    await orch.runWorker({ capabilities: ['rust'] });
    // @ts-expect-error: events of nodes have no task
    for await (const { task } of orch.events({ kind: 'node' })) console.log(task);
    // @ts-expect-error: and are never done
    orch.events({ kind: 'node', type: 'done' });
    const record: TaskRecord = TaskRecord.parse({});
    console.log(taskSubject(record.priority, record.lane, record.id));
  `,
};

describe('the types of the package', () => {
  test.each(resolutions)('compile every example for a strict user who resolves as %s', async resolution => {
    expect(examples.length).toBeGreaterThan(6);
    expect(await compile(examples, resolution)).toBe('');
  });

  test('refuse what the library does not have, and what is misspelt', async () => {
    expect(await compile([MISUSE], 'nodenext')).toBe('');
  });
});

describe('the examples', () => {
  let nats: TestNats;
  let orch: Orch;
  const dir = mkdtempSync(join(tmpdir(), 'orch-examples-'));
  beforeAll(async () => {
    nats = await TestNats.start({ provision: false });
    orch = await connect({ servers: [nats.url] });
    // What the README has running before its second example.
    await orch.runWorker({
      node: 'first-machine',
      capabilities: ['memories'],
      agents: [{ id: 'alice', visibility: 'shared' }],
      memory: { dir },
      handler: () => undefined,
    });
    await until('alice to be there', () =>
      orch
        .memory({ as: 'alice' })
        .stats()
        .catch(() => undefined),
    );
  });
  afterAll(async () => {
    await orch.close();
    await nats[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const printed: [name: string, output: RegExp][] = [
    ['README.md, example 1', /^done hello world\n$/],
    ['README.md, example 2', /^1 1\n$/],
    ['src/index.ts, example 1', /^ready done \{ greeting: 'hello world' \}\n$/],
    ['src/library/orch.ts, example 1', /^queued \S+\n(.*\n)*cancelled \S+\n$/],
    ['src/library/orch.ts, example 2', /^\S+ published \S+\n$/],
    [
      'examples/memory.ts',
      /owns ada and ben\nDeploys go out on Tuesdays\n(.*\n)*1 found\n\d linked\n\d+ from 2 nodes \[\]\n$/,
    ],
  ];

  test.each(printed)('%s runs and prints what it shows', async (name, output) => {
    const { code, stdout, stderr } = await start(named(name), nats.url).finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(output);
  });

  test('examples/worker.ts runs tasks until it is told to end', async () => {
    const worker = start(named('examples/worker.ts'), nats.url);
    await until('the worker', () => worker.stdout.includes('is ready'));
    const task = { capabilities: ['thumbnails'], input: { picture: 'cat.png', widths: [64, 256] } };
    const record = await orch.publishAndWait(task, { signal: AbortSignal.timeout(20_000) });
    expect(record.result).toEqual({ made: ['cat.png@64', 'cat.png@256'] });
    worker.kill('SIGTERM');
    expect(await worker.finished).toMatchObject({ code: 0, stderr: '' });
  });

  test('are each run by a test', () => {
    const run = [...printed.map(([name]) => name), 'examples/worker.ts'];
    expect(examples.map(({ name }) => name).sort()).toEqual(run.sort());
  });
});
