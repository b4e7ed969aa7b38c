// The commands about memories, as a person, a program and a task use them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let orch: Orch;
let far: Running;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
  await start('near', '--caps', 'near', '--agents', 'alice:shared,bob');
  far = await start(
    'far',
    '--agents',
    'carol:group=ops,dave:group=ops',
    '--memory-dir',
    join(orch.home, 'far'),
    '--expiry',
    '60s',
  );
});
afterAll(async () => {
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

async function start(node: string, ...words: string[]): Promise<Running> {
  const started = orch.start(['worker', '--node', node, '--heartbeat', '500ms', ...words]);
  await started.ready();
  return started;
}

const json = async (...words: string[]) => JSON.parse((await orch.run([...words, '--json'])).stdout);
const contents = (reply: { items: { content: string }[] }) => reply.items.map(({ content }) => content);

describe('remembering', () => {
  test('from arguments, stdin and a file; again it is not written twice; a version guards it', async () => {
    const about = ['--key', 'deploys', '--tags', 'ops,plan', '--links', 'api'];
    const remember = () => json('remember', 'deploys go out on Tuesdays', '--as', 'alice', ...about);
    expect(await remember()).toMatchObject({ outcome: 'created', version: 1 });
    expect(await remember()).toMatchObject({ outcome: 'unchanged', deduped: true });
    const { code } = await orch.run(['remember', '--as', 'alice', '--type', 'fact'], {
      input: 'the api is written in Rust\n',
    });
    expect(code).toBe(0);
    const file = join(orch.home, 'notes.ndjson');
    writeFileSync(
      file,
      '{"content":"carol knows the pager","importance":0.9}\n\n{"content":"the pager is red"}\n',
    );
    expect((await orch.run(['remember', '--as', 'carol', '--from', file])).stdout).toBe(
      '2 remembered, 2 of them new\n',
    );
    const conflict = await orch.run([
      'remember',
      'deploys go out daily',
      '--as',
      'alice',
      '--key',
      'deploys',
      '--if-version',
      '7',
    ]);
    expect(conflict.code).toBe(5);
    expect(conflict.stderr).toContain('the version is 1, not the one of --if-version');
  });

  test('a file that goes wrong names the line, and what stands above it is remembered', async () => {
    const file = join(orch.home, 'broken.ndjson');
    const remember = async (...lines: string[]) => {
      writeFileSync(file, lines.join('\r\n'));
      return orch.run(['remember', '--as', 'bob', '--from', file]);
    };
    expect(await remember('\ufeff{"content":"above the line"}', '', '{"content":')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^orch: \S+broken\.ndjson:3: not valid JSON: /),
    });
    expect(await remember('{"content":"x"}', '{"content":"y","importance":7}')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^orch: \S+broken\.ndjson:2: .*importance/),
    });
    expect(await remember('{"content":"z","key":"none","ifVersion":3}')).toMatchObject({
      code: 5,
      stdout: '0 remembered, 0 of them new\n',
      stderr: expect.stringMatching(/broken\.ndjson:1: the version is 0, not the one of ifVersion/),
    });
    expect(contents(await json('search', 'above', '--as', 'bob'))).toEqual(['above the line']);
  });

  test('a task’s process has the memory of the agent that is on it', async () => {
    const line = `${process.execPath} ${join(process.cwd(), 'dist/main.js')}`;
    const script = `echo "I am $ORCH_AGENT"; ${line} remember "learned by $ORCH_TASK_ID" && ${line} recall learned --json`;
    const { code, stdout, stderr } = await orch.run([
      'publish-task',
      '--id',
      'learner',
      '--caps',
      'near',
      '--wait',
      script,
    ]);
    expect(stderr).not.toContain('orch: ');
    expect([code, stdout.split('\n')[0]]).toEqual([0, 'I am alice']);
    expect(stdout).toContain('learned by learner');
    expect((await json('recall', 'learned', '--as', 'alice')).items[0]).toMatchObject({
      agent: 'alice',
      content: 'learned by learner',
    });
  });
});

describe('asking', () => {
  test('one memory: recall, search and expand; people get lines, programs JSON', async () => {
    const text = await orch.run(['recall', 'when do deploys go out', '--as', 'erin', '--from', 'alice']);
    expect(text.stdout).toMatch(/^alice\/\S+ {2}0\.\d+ {2}note #ops #plan\n {2}deploys go out on Tuesdays\n/);
    expect(text.stderr).toMatch(/1 found, keyword, [\d.]+ ms/);
    expect(
      contents(await json('search', 'rust -python', '--as', 'erin', '--from', 'alice', '--type', 'fact')),
    ).toEqual(['the api is written in Rust']);
    expect(await json('expand', 'api', '--as', 'alice')).toMatchObject({ items: [{ key: 'deploys' }] });
  });

  test('all memories: what the asker may read, from all nodes', async () => {
    expect(
      contents(await json('recall', 'pager', '--as', 'dave', '--all', '--deadline', '5s')).sort(),
    ).toEqual(['carol knows the pager', 'the pager is red']);
    expect(await json('recall', 'pager', '--as', 'erin', '--all', '--deadline', '5s')).toMatchObject({
      items: [],
      partial: false,
      nodes: 2,
    });
    expect(
      contents(
        await json('recall', 'pager deploys', '--as', 'dave', '--group', 'ops', '--deadline', '5s'),
      ).join(),
    ).not.toContain('deploys');
  });

  test('a node that is stopped makes the answer partial, and says so on stderr', async () => {
    far.kill('SIGSTOP');
    const began = performance.now();
    const { code, stdout, stderr } = await orch.run([
      'recall',
      'deploys',
      '--as',
      'erin',
      '--all',
      '--deadline',
      '1s',
    ]);
    console.log(
      `with a stopped node and a deadline of 1 s the command took ${Math.round(performance.now() - began)} ms`,
    );
    far.kill('SIGCONT');
    expect(code).toBe(0);
    expect(stdout).toContain('deploys go out on Tuesdays');
    expect(stderr).toContain('partial: node far is missing (late)');
    await until(
      'it to be back',
      async () =>
        (await json('recall', 'deploys', '--as', 'erin', '--all', '--deadline', '5s')).partial === false,
    );
  });
});

describe('forgetting', () => {
  test('by id, by key and by filter; what is not there is exit 4', async () => {
    const { id } = await json('remember', 'to be forgotten', '--as', 'bob', '--type', 'scratch');
    expect((await orch.run(['forget', id, '--as', 'bob'])).stdout).toBe('1 forgotten\n');
    expect((await orch.run(['forget', id, '--as', 'bob'])).code).toBe(4);
    for (const text of ['one', 'two', 'three'])
      await orch.run(['remember', text, '--as', 'bob', '--type', 'scratch']);
    expect((await json('forget', '--as', 'bob', '--type', 'scratch')).ids).toHaveLength(3);
  });
});

describe('a memory as a file', () => {
  test('is exported, taken in elsewhere exactly, counted and backed up while its node is at work', async () => {
    const exported = await orch.run(['memory', 'export', 'alice']);
    expect(exported.stdout.trim().split('\n').length).toBeGreaterThan(1);
    const dir = join(orch.home, 'elsewhere');
    expect(
      (await orch.run(['memory', 'import', 'alice', '--dir', dir], { input: exported.stdout })).code,
    ).toBe(0);
    expect((await orch.run(['memory', 'export', 'alice', '--dir', dir])).stdout).toBe(exported.stdout);
    expect(await json('memory', 'stats', 'alice')).toMatchObject({
      agent: 'alice',
      records: exported.stdout.trim().split('\n').length,
    });
    const broken = { input: `${exported.stdout}{"id":"x"}` };
    const lines = exported.stdout.trim().split('\n').length;
    expect(await orch.run(['memory', 'import', 'alice', '--dir', dir], broken)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(new RegExp(`^orch: stdin:${lines + 1}: field content`)),
    });
    const copy = join(orch.home, 'copy.db');
    expect((await orch.run(['memory', 'backup', 'alice', '--to', copy])).code).toBe(0);
    expect((await orch.run(['memory', 'backup', 'alice', '--to', copy])).code).toBe(5);
  });
});

describe('agents resolve', () => {
  test('names the node that owns an agent and the subjects of its memory', async () => {
    expect(await json('agents', 'resolve', 'carol')).toMatchObject({
      agent: 'carol',
      node: 'far',
      protocol: { min: 1, max: 1 },
      subjects: { recall: 'agent.carol.recall' },
    });
    const { stdout } = await orch.run(['agents', 'resolve', 'carol']);
    expect(stdout).toMatch(/^agent carol is owned by far on \S+\n/);
    expect(stdout).toContain('recall    agent.carol.recall');
  });

  test('is named by the word that it had before, in one line', async () => {
    expect(await orch.run(['session', 'start', '--agent', 'carol'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'orch: "session" is no longer a command: use `orch agents resolve <agent>`\n',
    });
  });
});

describe('bad input', () => {
  test.each([
    [['recall', 'x', '--from', 'alise'], 4, /no agent alise\n +did you mean "alice"\?/],
    [['agents', 'resolve', 'alise'], 4, /did you mean "alice"\?/],
    [['agents', 'resolve'], 2, /resolve needs an agent\n +orch agents resolve <agent>/],
    [['agents', 'resole', 'alice'], 2, /"resole" is not allowed.*\n +did you mean "resolve"\?/],
    [['remember', 'x', '--as', 'nobody'], 4, /no agent nobody/],
    [['memory', 'export', 'nobody'], 4, /agent nobody has no memory on this machine/],
    [['recall', 'x', '--limit', '0'], 2, /--limit "0" is not allowed/],
    [['recall', 'x', '--from', 'alice', '--all'], 2, /--from cannot be used together with --all/],
    [
      ['recall', 'x', '--min-importance', '2'],
      2,
      /--min-importance "2" is not allowed: use a number from 0 to 1/,
    ],
    [['expand', '--as', 'alice'], 2, /give either an entity or --id/],
    [['expand', 'nothing-such', '--as', 'alice'], 4, /no entity "nothing-such"/],
    [['forget', '--as', 'alice'], 2, /give one of an id, --key, or a filter/],
    [['remember', 'x', '--as', 'alice', '--visibility', 'public'], 2, /--visibility "public" is not allowed/],
    [['memory', 'stat', 'alice'], 2, /"stat" is not allowed: use stats.*\n +did you mean "stats"\?/],
    [['worker', '--embedder', 'http://x/v1'], 2, /--embedder and --embedder-model must be used together/],
  ])('orch %j', async (words, exit, message) => {
    const { code, stderr, stdout } = await orch.run(words);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([exit, '']);
  });
});
