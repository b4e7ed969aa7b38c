import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { nkeys } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../src/server/index.ts';
import { TestNats } from '../support/nats.ts';
import { Orch } from '../support/orch.ts';
import { letTimePass, until } from '../support/wait.ts';

let nats: TestNats;
let orch: Orch;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
});
afterAll(async () => {
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

const json = async (...words: string[]) => JSON.parse((await orch.run([...words, '--json'])).stdout);

describe('bad input is one line that says what is wrong, and exit code 2', () => {
  test.each([
    [
      ['publish-task', 'x', '--priority', 'hihg'],
      /priority "hihg" is not allowed: use high, medium, low\n +did you mean "high"\?/,
    ],
    [['publish-task', 'x', '--caps', 'Rust'], /capability "Rust" is not allowed.*\n +did you mean "rust"\?/],
    [['publish-task', 'x', '--caps', 'any'], /capability "any" is reserved/],
    [['publish-task', 'x', '--id', 'a.b'], /--id "a.b" is not allowed/],
    [['publish-task', 'x', '--timeout', '5 parsecs'], /--timeout "5 parsecs" is not a duration/],
    [
      ['publish-task', 'x', '--max-attempts', '0'],
      /--max-attempts "0" is not allowed: use a whole number from 1 to 100/,
    ],
    [['publish-task', 'x', '--labels', 'a'], /--labels "a" is not allowed/],
    [['publish-task', '--input', '{'], /--input is not valid JSON/],
    [['publish-task', '--from', '/nowhere'], /--from \/nowhere cannot be read/],
    [['publish-task', '--from', 'x', '--wait'], /--from cannot be used together with --wait/],
    [['publish-task', 'x', '--prioritty', 'high'], /unknown flag --prioritty\n +did you mean --priority\?/],
    [['publish-task', 'x', '--caps'], /flag --caps needs a value/],
    [['tasks', '--state', 'dnoe'], /--state "dnoe" is not allowed.*\n +did you mean "done"\?/],
    [['tasks', 'extra'], /unexpected argument "extra"/],
    [['task'], /missing required positional argument/i],
    [['transition', 'x', 'finish'], /transition "finish" is not allowed/],
    [['worker', '--concurrency', '0'], /--concurrency "0" is not allowed/],
    [['worker', '--exec', 'a', '--handler', 'b'], /--exec and --handler cannot be used together/],
    [['worker', '--log-level', 'loud'], /--log-level "loud" is not allowed/],
    [['tasks', '--context', 'nowhere'], /context "nowhere" does not exist/],
    [['tasks', '--creds', '/nowhere'], /credentials file \/nowhere cannot be read/],
    [['tasks', '-s', 'http://x/y'], /is not a NATS URL/],
    [['publish'], /unknown command "publish"/],
    [['event'], /unknown command "event"\n +did you mean "events"\?/],
  ])('orch %j', async (words, message) => {
    const { code, stdout, stderr } = await orch.run(words);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('a payload that is too heavy', async () => {
    const { code, stderr } = await orch.run(['publish-task'], { input: 'x'.repeat(600_000) });
    expect([code, /at most 524288 are allowed/.test(stderr)]).toEqual([2, true]);
  });

  test('a line of a file that is wrong is named, and what stands before it is published', async () => {
    const file = join(orch.home, 'bad.ndjson');
    writeFileSync(file, '{"id":"file-1"}\n\n{"id":"file-2","priority":"now"}\n');
    const { code, stderr } = await orch.run(['publish-task', '--from', file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/bad\.ndjson:3: .*"now"/);
    expect((await orch.run(['task', 'file-1'])).code).toBe(0);
  });

  test('a line of a file that is too long is named, however much of it is still to come', async () => {
    const input = `\ufeff{"id":"long-1"}\r\n{"input":"${'x'.repeat(3 * 1024 * 1024)}"}\n{"id":"long-3"}\n`;
    const { code, stderr } = await orch.run(['publish-task', '--from', '-'], { input });
    expect([code, stderr]).toEqual([
      2,
      '1 tasks published\norch: stdin:2: the line is longer than 1048576 bytes\n',
    ]);
    expect((await orch.run(['task', 'long-1'])).code).toBe(0);
    expect((await orch.run(['task', 'long-3'])).code).toBe(4);
  });

  test('for programs the error is JSON on stderr', async () => {
    const { code, stderr } = await orch.run(['task', 'nobody', '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not_found', message: 'no task nobody' } });
  });
});

describe('help', () => {
  test('every command shows the line of the overview, its flags, examples and exit codes', async () => {
    const overview = (await orch.run(['--help'])).stdout;
    const names = [...overview.matchAll(/^ {2}([a-z-]+) {2,}/gm)]
      .map(match => match[1] ?? '')
      .filter(name => name !== 'orch');
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) {
      const { code, stdout } = await orch.run([name, '--help']);
      expect([name, code]).toEqual([name, 0]);
      expect(overview).toContain(`  ${stdout.split('\n')[0]}\n`);
      expect(stdout).toMatch(new RegExp(`EXAMPLES\\s+orch ${name}|EXAMPLES[\\s\\S]*orch ${name}`));
      expect(stdout).toMatch(/EXIT CODES[\s\S]*130/);
      // A pipe is no terminal.
      expect(stdout).not.toContain('\u001b');
    }
  });
});

describe('a task from the command line', () => {
  test('is published, runs, and is waited for with its output, result and exit code', async () => {
    const worker = orch.start(['worker', '--caps', 'shell', '--node', 'w1']);
    const good = await orch.run([
      'publish-task',
      '--caps',
      'shell',
      '--wait',
      'echo out; echo err >&2; echo \'{"ok":true}\' > $ORCH_RESULT_FILE',
    ]);
    expect(good).toMatchObject({ code: 0, stdout: 'out\n{"ok":true}\n' });
    expect(good.stderr).toMatch(/^err$/m);
    const bad = await orch.run([
      'publish-task',
      '--caps',
      'shell',
      '--max-attempts',
      '1',
      '--wait',
      'echo no; exit 4',
    ]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/failed \(error\): exit code 4: no/);
    worker.kill('SIGTERM');
    expect((await worker.finished).code).toBe(0);
  });

  test('is listed, shown, cancelled, and cannot be cancelled twice', async () => {
    expect((await orch.run(['publish-task', '--id', 'cli-1', '--caps', 'nobody', 'x'])).stdout).toBe(
      'cli-1\n',
    );
    expect(await json('publish-task', '--id', 'cli-1', '--caps', 'nobody', 'y')).toMatchObject({
      created: false,
      state: 'queued',
    });
    expect((await json('tasks', '--lane', 'nobody')).map((task: { id: string }) => task.id)).toEqual([
      'cli-1',
    ]);
    expect(await json('task', 'cli-1')).toMatchObject({
      task: { id: 'cli-1', description: 'x' },
      history: [{ type: 'queued' }],
    });
    expect((await json('lanes')).find((lane: { lane: string }) => lane.lane === 'nobody')).toMatchObject({
      waiting: 1,
      idleWorkers: 0,
    });
    expect((await orch.run(['cancel', 'cli-1', '--reason', 'enough'])).code).toBe(0);
    expect((await orch.run(['cancel', 'cli-1'])).code).toBe(5);
    expect((await orch.run(['retry', 'cli-1'])).code).toBe(5);
  });

  test('waiting gives up with exit code 7, and the task goes on', async () => {
    const { code, stderr } = await orch.run([
      'publish-task',
      '--id',
      'cli-2',
      '--caps',
      'nobody',
      '--wait',
      '--wait-timeout',
      '300ms',
      'x',
    ]);
    expect([code, /cli-2 has not ended within 300ms; it continues/.test(stderr)]).toEqual([7, true]);
  });

  test('Ctrl-C while waiting exits with 130 and leaves the task alone', async () => {
    const waiting = orch.start(['publish-task', '--id', 'cli-3', '--caps', 'nobody', '--wait', 'x']);
    await until('it to be published', () => waiting.stderr.includes('published'));
    waiting.kill('SIGINT');
    expect((await waiting.finished).code).toBe(130);
    expect((await json('task', 'cli-3')).task.state).toBe('queued');
  });

  test('a file of tasks is published once, however often it is sent', async () => {
    const file = join(orch.home, 'tasks.ndjson');
    writeFileSync(
      file,
      Array.from({ length: 500 }, (_, i) =>
        JSON.stringify({ id: `bulk-${i}`, capabilities: ['bulk'], input: i }),
      ).join('\n'),
    );
    expect((await orch.run(['publish-task', '--from', file])).stderr).toMatch(/500 tasks published/);
    expect((await orch.run(['publish-task', '--from', '-'], { input: '{"id":"bulk-7"}\n' })).stderr).toMatch(
      /0 tasks published, 1 existed already/,
    );
    expect((await json('tasks', '--lane', 'bulk')).length).toBe(500);
  });
});

describe('on a terminal', () => {
  // `script` gives the command a terminal of its own; it is part of every Debian.
  const onTerminal = async (words: string) => {
    const env = { ...process.env, NATS_URL: nats.url, TERM: 'xterm', NO_COLOR: '', CI: '' };
    const command = `stty cols 80; ${process.execPath} ${resolve('dist/main.js')} ${words}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', text => {
      shown += text;
    });
    const code = await new Promise(settle => child.once('close', settle));
    return { code, shown };
  };

  test('a file is published with a bar', async () => {
    const file = join(orch.home, 'bar.ndjson');
    writeFileSync(
      file,
      Array.from({ length: 2_000 }, (_, i) => JSON.stringify({ id: `bar-${i}`, capabilities: ['bar'] })).join(
        '\n',
      ),
    );
    const { code, shown } = await onTerminal(`publish-task --from ${file}`);
    expect([code, shown]).toEqual([0, expect.stringMatching(/publishing .*\d+%[\s\S]*2000 tasks published/)]);
  });

  test('a list is coloured and no wider than the screen', async () => {
    await orch.run(['publish-task', '--id', 'wide', '--caps', 'wide', '--description', 'x'.repeat(300), 'x']);
    const { shown } = await onTerminal('tasks --lane wide');
    expect(shown).toContain('\u001b[36mqueued');
    for (const line of stripVTControlCharacters(shown).split(/\r?\n/))
      expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe('an agent that works outside a worker', () => {
  test('claims the next task, renews it, blocks, goes on and ends it', async () => {
    await orch.run(['publish-task', '--id', 'hand-1', '--caps', 'hand', '--input', '{"n":1}']);
    const claimed = await json('claim', '--caps', 'hand,other', '--as', 'agent-1');
    expect(claimed).toMatchObject({
      task: { id: 'hand-1', state: 'claimed', node: 'agent-1' },
      input: { n: 1 },
    });
    // Longer than the lane's own lease: what holds it is the agent's.
    await letTimePass(2_000);
    for (const words of [
      ['renew'],
      ['started'],
      ['blocked', '--reason', 'why?'],
      ['started'],
      ['done', '--result', '{"n":2}'],
    ]) {
      expect([words, (await orch.run(['transition', 'hand-1', ...words])).code]).toEqual([words, 0]);
    }
    expect((await json('task', 'hand-1')).task).toMatchObject({
      state: 'done',
      result: { n: 2 },
      attempt: 1,
    });
    expect((await orch.run(['transition', 'hand-1', 'renew'])).code).toBe(4);
    expect((await orch.run(['claim', '--caps', 'hand'])).code).toBe(4);
  });

  test('claims a named task behind others, and a second claimant learns by whom it was taken', async () => {
    for (const id of ['hand-2', 'hand-3', 'hand-4'])
      await orch.run(['publish-task', '--id', id, '--caps', 'named', 'x']);
    expect((await orch.run(['claim', 'hand-3'])).code).toBe(6);
    expect((await json('claim', 'hand-3', '--caps', 'named', '--as', 'agent-1')).task.id).toBe('hand-3');
    const second = await orch.run(['claim', 'hand-3', '--caps', 'named', '--as', 'agent-2']);
    expect([second.code, second.stderr]).toEqual([5, expect.stringMatching(/claimed by agent-1 at /)]);
    expect((await orch.run(['transition', 'hand-3', 'failed', '--reason', 'red'])).stdout).toBe(
      'hand-3 retrying\n',
    );
    expect((await json('claim', '--caps', 'named')).task.id).toBe('hand-2');
  });

  test('one that falls silent loses its lease and is refused afterwards', async () => {
    await orch.run(['publish-task', '--id', 'hand-5', '--caps', 'silent', 'x']);
    const { ticket } = await json('claim', '--caps', 'silent', '--lease', '1s', '--as', 'agent-1');
    const again = await until('the lease to run out', async () => {
      const { code, stdout } = await orch.run(['claim', '--caps', 'silent', '--as', 'agent-2', '--json']);
      return code === 0 && JSON.parse(stdout);
    });
    expect(again.task).toMatchObject({ id: 'hand-5', attempt: 2 });
    const late = await orch.run(['transition', 'hand-5', 'done', '--ticket', JSON.stringify(ticket)]);
    expect([late.code, late.stderr]).toEqual([5, expect.stringMatching(/attempt 1 at task hand-5 is over/)]);
    expect((await orch.run(['transition', 'hand-5', 'done'])).code).toBe(0);
  });
});

describe('watching', () => {
  test('events come live, one JSON line each', async () => {
    const live = orch.start(['events', '--json', '--type', 'queued']);
    let published = 0;
    // A subscription gives no sign that it stands but what it shows.
    await until('an event to be shown', async () => {
      await orch.run(['publish-task', '--id', `live-${published++}`, '--caps', 'nobody', 'x']);
      return live.stdout.includes('\n');
    });
    live.kill('SIGINT');
    const { code, stdout } = await live.finished;
    expect(code).toBe(0);
    const shown = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(shown.map(entry => [entry.type, entry.task.id])).toEqual(
      Array.from({ length: shown.length }, (_, i) => ['queued', `live-${published - shown.length + i}`]),
    );
  });

  test('events come from the journal', async () => {
    await orch.run(['publish-task', '--id', 'ev-1', '--caps', 'nobody', 'x']);
    await orch.run(['cancel', 'ev-1']);
    const replay = await orch.run(['events', '--since', '1h', '--no-follow', '--task', 'ev-1', '--json']);
    const types = replay.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).type);
    expect(types).toEqual(['queued', 'cancelled']);
  });

  test('logs of an attempt, and doctor on a healthy server', async () => {
    const worker = orch.start(['worker', '--caps', 'logs']);
    await orch.run(['publish-task', '--id', 'logs-1', '--caps', 'logs', '--wait', 'echo hello']);
    expect((await orch.run(['logs', 'logs-1'])).stdout).toBe('hello\n');
    expect((await orch.run(['logs', '-f', 'logs-1'])).stdout).toBe('hello\n');
    const doctor = await orch.run(['doctor', '--json']);
    expect(doctor.code).toBe(0);
    expect(
      JSON.parse(doctor.stdout).filter((finding: { severity: string }) => finding.severity === 'error'),
    ).toEqual([]);
    worker.kill('SIGTERM');
    await worker.finished;
  });

  test('no escape sequences where nobody asked for them', async () => {
    const { stdout } = await orch.run(['tasks'], { env: { NO_COLOR: '1' } });
    expect(stdout).not.toContain('\u001b');
  });
});

describe('finding the server', () => {
  test('a context of natscli is read, and a flag wins over it', async () => {
    const folder = join(orch.home, 'config', 'nats', 'context');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'here.json'), JSON.stringify({ url: nats.url, description: 'x' }));
    writeFileSync(join(folder, 'away.json'), JSON.stringify({ url: 'nats://127.0.0.1:1' }));
    const env = { NATS_URL: '' };
    expect((await orch.run(['lanes', '--context', 'here'], { env })).code).toBe(0);
    expect((await orch.run(['lanes', '--context', 'away'], { env })).code).toBe(3);
    expect((await orch.run(['lanes', '--context', 'away', '-s', nats.url], { env })).code).toBe(0);
    writeFileSync(join(orch.home, 'config', 'nats', 'context.txt'), 'here\n');
    expect((await orch.run(['lanes'], { env })).code).toBe(0);
  });

  test('one that wants credentials gets them by flag, variable or context', async () => {
    const user = nkeys.createUser();
    const config = `authorization { users: [ {user: "u", password: "p"}, {user: "v", password: "p:q@r"}, {nkey: ${user.getPublicKey()}} ] }`;
    await using guarded = await TestNats.start({ provision: false, extraConfig: config });
    const seed = join(orch.home, 'seed.nk');
    writeFileSync(seed, user.getSeed());
    const folder = join(orch.home, 'config', 'nats', 'context');
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'guarded.json'),
      JSON.stringify({ url: guarded.url, user: 'u', password: 'p' }),
    );
    const server = ['-s', guarded.url];
    const publish = ['publish-task', 'x'];
    expect((await orch.run([...publish, ...server, '--user', 'u', '--password', 'p'])).code).toBe(0);
    expect(
      (await orch.run([...publish, ...server], { env: { NATS_USER: 'u', NATS_PASSWORD: 'p' } })).code,
    ).toBe(0);
    expect((await orch.run([...publish, ...server, '--nkey', seed])).code).toBe(0);
    expect((await orch.run([...publish, '--context', 'guarded'], { env: { NATS_URL: '' } })).code).toBe(0);
    const withUser = (said: string) => guarded.url.replace('//', `//${said}@`);
    expect((await orch.run([...publish, '-s', withUser('u:p')])).code).toBe(0);
    expect((await orch.run([...publish], { env: { NATS_URL: withUser('v:p%3Aq%40r') } })).code).toBe(0);
    const malformed = await orch.run([...publish, '-s', withUser('v:50%')]);
    expect([malformed.code, malformed.stderr]).toEqual([
      2,
      expect.stringMatching(/^orch: the credentials in nats:\/\/127\.0\.0\.1:\d+ are not percent-encoded\n/),
    ]);
    const refused = await orch.run([...publish, ...server, '--user', 'u', '--password', 'wrong']);
    expect([refused.code, refused.stderr]).toEqual([
      9,
      expect.stringMatching(/the server refused the credentials/),
    ]);
    expect(refused.stderr).not.toContain('wrong');
  });

  test('one that is away is said so within the time limit, with exit code 3', async () => {
    for (const words of [['tasks'], ['publish-task', 'x'], ['doctor'], ['claim'], ['lanes']]) {
      const { code, stderr } = await orch.run([...words, '-s', 'nats://127.0.0.1:1']);
      expect([words, code]).toEqual([words, 3]);
      expect(stderr).toMatch(/cannot connect to nats:\/\/127\.0\.0\.1:1/);
    }
  });

  test('one without JetStream is refused with what to do', async () => {
    const port = await freePort();
    const plain = spawn(inject('natsServer'), ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
    const refused = await until('it to answer', async () => {
      const result = await orch.run(['tasks', '-s', `nats://127.0.0.1:${port}`]);
      return !/cannot connect/.test(result.stderr) && result;
    });
    plain.kill();
    const { code, stderr } = refused;
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/has no JetStream, which orch needs\n.*start it with -js/),
    ]);
  });

  test('a server that was never used says how to begin', async () => {
    await using fresh = await TestNats.start({ provision: false });
    expect((await orch.run(['tasks', '-s', fresh.url])).stderr).toMatch(/does not exist/);
    expect((await orch.run(['publish-task', '-s', fresh.url, '--id', 'first', 'x'])).stdout).toBe('first\n');
    expect((await orch.run(['tasks', '-s', fresh.url])).code).toBe(0);
  });
});
