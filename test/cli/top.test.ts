// `orch top` on a pseudo terminal of 80 columns and 24 rows, against a real server and real workers.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { lookAtNodes } from '../../src/nodes/index.ts';
import { isFinal } from '../../src/protocol/index.ts';
import { cancelTask, getTask, listTasks, publishTask } from '../../src/tasks/index.ts';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { KEYS, Terminal } from '../support/terminal.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
let orch: Orch;
const open: Terminal[] = [];

beforeAll(async () => {
  nats = await TestNats.start({ leaseMs: 15_000 });
  bus = await nats.bus();
  orch = new Orch(nats.url);
  await startWorker('build-1', '--caps', 'rust,linux', '--concurrency', '4');
  await startWorker('bsd-7', '--caps', 'freebsd');
});
afterEach(async () => {
  for (const terminal of open.splice(0)) terminal[Symbol.dispose]();
  for (const { id, state } of await listTasks(bus)) if (!isFinal(state)) await cancelTask(bus, id, 'tester');
});
afterAll(async () => {
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

async function startWorker(node: string, ...words: string[]): Promise<Running> {
  const worker = orch.start(['worker', '--node', node, ...words]);
  await worker.ready();
  return worker;
}

async function startTop(options: ConstructorParameters<typeof Terminal>[2] = {}): Promise<Terminal> {
  const terminal = new Terminal(orch, ['top'], options);
  open.push(terminal);
  // A first answer of the server: it has the subscription to events, too.
  await terminal.shows(/NODES \d/);
  return terminal;
}

const publish = (id: string, capability: string, input: string) =>
  publishTask(bus, { id, capabilities: [capability], input }, 'tester');

/** Publishes a script and waits until it runs. */
async function run(id: string, capability: string, input: string): Promise<void> {
  await publish(id, capability, input);
  await until(`${id} to run`, async () => (await getTask(bus, id)).state === 'claimed');
}

const stateOf = async (node: string) => (await lookAtNodes(bus)).find(({ id }) => id === node)?.record?.state;

const isRestored = (top: Terminal) => {
  expect(top.raw).toContain('\u001b[?1049l');
  expect(top.raw.lastIndexOf('\u001b[?25h')).toBeGreaterThan(top.raw.lastIndexOf('\u001b[?25l'));
  expect(top.isAlternate).toBe(false);
  // Nothing of the picture stays behind, and nothing was printed after it.
  expect(top.text).toBe('back in the shell');
};

describe('the picture', () => {
  test('shows nodes, lanes, a running task with its last line, and events, within 80 columns and 24 rows', async () => {
    const top = await startTop();
    await run('long-1', 'rust', `echo first; echo '${'wide '.repeat(40)}'; echo the last line; sleep 600`);
    await top.shows(/^ {2}build-1 +ready +1\/4 .*linux,rust$/m);
    await top.shows(/^ {2}bsd-7 +ready +0\/1 .*freebsd$/m);
    await top.shows(/^ {2}rust +medium +0 +1 /m);
    await top.shows(/^> long-1 +claimed +build-1 +\d+s +the last line$/m);
    await top.shows(/^ {2}\d\d:\d\d:\d\d +long-1 +claimed +build-1/m);
    await run('long-2', 'linux', `echo '${'wide '.repeat(40)}'; sleep 600`);
    await top.shows(/^ {2}long-2 .* wide wide.*…$/m);
    expect(top.isAlternate).toBe(true);
    expect(Math.max(...top.lines.map(line => line.length))).toBe(80);
    expect(top.lines.findLastIndex(line => line !== '')).toBe(23);
  });

  test('lets nothing that a task prints move the cursor, clear or colour the screen', async () => {
    await run(
      'rude',
      'rust',
      `printf '\\033[2J\\033[31m\\302\\233Hbold\\tclaim\\007 10%%\\r\\033[5;5Hstill here\\033[0m\\n'; sleep 600`,
    );
    const top = await startTop({ env: { NO_COLOR: '1' } });
    await top.shows(/^[ >] rude +claimed +build-1 +\d+s +still here$/m);
    expect(top.raw).not.toContain('\u001b[5;5H');
    expect(top.raw).not.toContain('\u009b');
  });

  test('has no colours where nobody wants them, and marks what is selected all the same', async () => {
    await run('colourless', 'rust', 'sleep 600');
    const plain = await startTop({ env: { NO_COLOR: '1' } });
    await plain.shows(/^> \S+ +claimed/m);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
    const styled = /\u001b\[[\d;]*m/;
    expect(plain.raw).not.toMatch(styled);
    expect(plain.text).toMatch(/^ {2}\[TASKS \d+\]/m);
    const colored = await startTop();
    await colored.shows(/^> \S+ +claimed/m);
    expect(colored.raw).toMatch(styled);
  });

  test('takes the shape of the terminal, and of a terminal that changes its size', async () => {
    const top = await startTop({ rows: 40, columns: 120 });
    await top.shows(/HOST +CAPABILITIES/);
    expect(top.lines.findLastIndex(line => line !== '')).toBe(39);
    for (const [columns, rows] of [
      [60, 12],
      [100, 30],
      [20, 4],
      [80, 24],
    ] as const) {
      top.resize(columns, rows);
      await until(
        `a picture of ${columns} columns and ${rows} rows`,
        () =>
          top.lines.findLastIndex(line => line !== '') === rows - 1 &&
          top.lines.every(line => line.length <= columns),
      );
    }
    await top.shows(/EVENTS/);
  });
});

describe('the keys', () => {
  test('move to a task and open it: its record, its history, the end of its output; and go back', async () => {
    await run('open-1', 'rust', 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; done; sleep 600');
    const top = await startTop();
    await top.shows(/^[> ] open-1 .*line 300$/m);
    top.type('G');
    await top.shows(/^> open-1 /m);
    top.type(KEYS.enter);
    await top.shows(/^\[task open-1\]$/m);
    await top.shows(/^state +claimed, attempt 1 of 3, on build-1$/m);
    await top.shows(/^\S+ \S+ {2}queued +tester$/m);
    await top.shows(/^\S+ \S+ {2}claimed +build-1$/m);
    await top.shows(/^line 299\nline 300$/m);
    top.type('k'.repeat(100));
    await top.shows(/100 lines above its end[\s\S]*^line 200$/m);
    expect(top.text).not.toContain('line 201');
    top.type('G');
    await top.shows(/^line 300$/m);
    top.type(KEYS.escape);
    await top.shows(/^> open-1 /m);
  });

  test('open a node, and from there what it runs', async () => {
    await run('open-2', 'freebsd', 'echo on a node; sleep 600');
    const top = await startTop();
    await top.shows(/^ {2}open-2 |^> open-2 /m);
    top.type(KEYS.backTab + KEYS.backTab);
    await top.shows(/\[NODES 2\]/);
    top.type('g');
    await top.shows(/^> bsd-7 /m);
    top.type(KEYS.enter);
    await top.shows(/^\[node bsd-7\]$/m);
    await top.shows(/^capabilities freebsd$/m);
    await top.shows(/^> open-2 .*on a node$/m);
    top.type(KEYS.enter);
    await top.shows(/^\[task open-2\]$/m);
    top.type(KEYS.escape);
    await top.shows(/^\[node bsd-7\]$/m);
  });

  test('open a lane with the tasks that wait in it, and cancel one of them', async () => {
    for (const n of [1, 2, 3]) await publish(`waits-${n}`, 'netbsd', 'true');
    const top = await startTop();
    top.type(KEYS.backTab);
    await top.shows(/^[> ] netbsd +medium +3 .*no node serves it$/m);
    while (!/^> netbsd /m.test(top.text)) {
      const before = top.text.match(/^> .*$/m)?.[0];
      top.type(KEYS.down);
      await until('the selection to move', () => top.text.match(/^> .*$/m)?.[0] !== before);
    }
    top.type(KEYS.enter);
    await top.shows(/\[WAITING 3\]/);
    top.type('j');
    await top.shows(/^> waits-2 /m);
    top.type('c');
    await top.shows(/cancel task waits-2\? y\/n/);
    top.type('y');
    await top.shows(/waits-2 cancelled/);
    await top.shows(/\[WAITING 2\]/);
    // The selection stays where it was.
    await top.shows(/^> waits-3 /m);
  });

  test('cancel a running task, but not before yes was said', async () => {
    await run('cancel-me', 'linux', 'sleep 600');
    const top = await startTop();
    top.type('G');
    await top.shows(/^> cancel-me /m);
    // A yes that was typed before the question could be read is none.
    top.type('cy');
    await top.shows(/cancel task cancel-me\? y\/n/);
    top.type('n');
    await top.shows(/q quit/);
    expect((await getTask(bus, 'cancel-me')).state).toBe('claimed');
    top.type('c');
    await top.shows(/cancel task cancel-me\? y\/n/);
    top.type('y');
    await top.shows(/^cancel-me cancelled$/m);
    await until('no row of it', () => !/^[> ] cancel-me /m.test(top.text));
    expect(await getTask(bus, 'cancel-me')).toMatchObject({ state: 'cancelled' });
  });

  test('drain a node once yes was said, resume it and pause it', async () => {
    const top = await startTop();
    top.type(`${KEYS.tab}${KEYS.tab}`);
    await top.shows(/\[NODES 2\]/);
    top.type('G');
    await top.shows(/^> build-1 /m);
    top.type('d');
    await top.shows(/drain node build-1\? y\/n/);
    expect(await stateOf('build-1')).toBe('ready');
    top.type('y');
    await top.shows(/^node build-1 is draining, \d running$/m);
    await top.shows(/^> build-1 +draining/m);
    expect(await stateOf('build-1')).toBe('draining');
    top.type('r');
    await top.shows(/^node build-1 is ready/m);
    top.type('p');
    await top.shows(/^node build-1 is paused/m);
    await top.shows(/degraded: .*node build-1 is paused/);
    top.type('r');
    await until('it to take tasks again', async () => (await stateOf('build-1')) === 'ready');
  });

  test('show a help that fits', async () => {
    const top = await startTop();
    top.type('?');
    await top.shows(/^ {2}q, ctrl-c +quit$/m);
    expect(top.text).not.toContain('…');
    top.type('x');
    await top.shows(/NODES/);
  });
});

describe('the end', () => {
  test.each([
    ['q', (top: Terminal) => top.type('q')],
    ['Ctrl-C', (top: Terminal) => top.type(KEYS.ctrlC)],
    ['SIGTERM', (top: Terminal) => top.kill('SIGTERM')],
    ['SIGHUP', (top: Terminal) => top.kill('SIGHUP')],
  ])('by %s restores the terminal and exits 0', async (_, end) => {
    const top = await startTop();
    end(top);
    expect(await top.finished).toBe(0);
    isRestored(top);
  });

  test.each([
    ['that nobody catches', 'throw new Error("out of the blue")'],
    ['in drawing', 'String.prototype.toUpperCase = () => { throw new Error("out of the blue") }'],
  ])('by an error %s restores the terminal, and says what it was', async (_, failure) => {
    const hook = `process.on("SIGUSR2", () => { ${failure} })`;
    const top = await startTop({
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` },
    });
    top.kill('SIGUSR2');
    expect(await top.finished).toBe(70);
    expect(top.isAlternate).toBe(false);
    expect(top.text).toMatch(/^orch: out of the blue\n +set ORCH_DEBUG=1 to see where\nback in the shell$/);
  });

  test('comes at once where there is no terminal that could be drawn on: one line, one advice, exit 2', async () => {
    const refusal = /^orch: `orch top` needs a terminal .*\s+use `orch status --watch`.*$/m;
    const { code, stdout, stderr } = await orch.run(['top']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(refusal);
    expect(stderr.trim().split('\n')).toHaveLength(2);
    using dumb = new Terminal(orch, ['top'], { env: { TERM: 'dumb' } });
    expect(await dumb.finished).toBe(2);
    expect(dumb.text).toMatch(refusal);
    expect(dumb.raw).not.toContain('\u001b');
  });
});

describe('a server that goes away', () => {
  test('does not keep anybody from quitting', async () => {
    await using own = await TestNats.start();
    using there = new Orch(own.url);
    using top = new Terminal(there, ['top']);
    await top.shows(/all well/);
    await own.kill();
    await top.shows(/waiting for the server, \d+ s/);
    top.type('q');
    expect(await top.finished).toBe(0);
    isRestored(top);
  });

  test('is said to, and the picture goes on when it is back', async () => {
    await using own = await TestNats.start();
    using there = new Orch(own.url);
    using top = new Terminal(there, ['top']);
    await top.shows(/all well/);
    await own.kill();
    await top.shows(/waiting for the server, \d+ s|did not answer in time/);
    expect(top.isAlternate).toBe(true);
    await own.restart();
    await top.shows(/reconnected/);
    // What a single server keeps in memory is made again by whoever provisions next.
    const again = await own.bus();
    await again.streams.provision();
    await top.shows(/all well/);
    await publishTask(again, { id: 'after-all', input: 'true' }, 'tester');
    await top.shows(/after-all +queued/);
    top.type('q');
    expect(await top.finished).toBe(0);
  });
});
