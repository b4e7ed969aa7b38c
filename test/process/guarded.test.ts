// Guarded commands as real processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GuardedOptions, type GuardedProcess, isAlive, startGuarded } from '../../src/process/index.ts';
import { isGroupRunning } from '../support/processes.ts';
import { until } from '../support/wait.ts';

/** Longer than a test may take: what ends before was not waited for. */
const FOREVER_MS = 3_600_000;

const folder = mkdtempSync(join(tmpdir(), 'orch-guarded-'));
const parent = join(folder, 'parent.mjs');
const started: GuardedProcess[] = [];

beforeAll(() =>
  build({
    entryPoints: [resolve('test/process/parent.ts')],
    outfile: parent,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['zod'],
  }),
);
afterAll(async () => {
  await Promise.all(started.map(guarded => guarded.stop()));
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
/** A path that does not exist yet; a script can wait for it. */
const newFile = () => join(folder, `file-${++files}`);

const withDefaults = (script: string, options: Partial<GuardedOptions> = {}): GuardedOptions => ({
  command: ['/bin/sh', '-c', script],
  stdio: ['ignore', 'pipe', 'pipe'],
  stops: 'group',
  graceMs: FOREVER_MS,
  ...options,
});

/** Starts a script, or another command, and collects its output. */
function start(script: string, options?: Partial<GuardedOptions>) {
  const guarded = startGuarded(withDefaults(script, options));
  started.push(guarded);
  return { ...guarded, output: outputOf(guarded.child) };
}

function outputOf({ stdout, stderr }: ChildProcess) {
  const output = { text: '', shows: (text: string) => until(text, () => output.text.includes(text)) };
  for (const pipe of [stdout, stderr])
    pipe?.setEncoding('utf8').on('data', (text: string) => {
      output.text += text;
    });
  return output;
}

const isGone = (pid: number) => until(`group ${pid} to be gone`, () => !isGroupRunning(pid));

describe('how a command ends', () => {
  test('by itself, with its exit code and all of its output', async () => {
    const { ended, output } = start('echo out; echo err >&2; exit 3');
    expect(await ended).toEqual({ kind: 'exited', code: 3, signal: null });
    expect(output.text).toMatch(/out\n/);
    expect(output.text).toMatch(/err\n/);
  });

  test('by a signal of its own', async () => {
    expect(await start('kill -SEGV $$').ended).toEqual({ kind: 'exited', code: null, signal: 'SIGSEGV' });
  });

  test('with exit code 127 when there is no such program', async () => {
    const { ended, output } = start('', { command: ['/nosuch/program'] });
    expect(await ended).toEqual({ kind: 'exited', code: 127, signal: null });
    expect(output.text).toContain('/nosuch/program');
  });

  test('at once when it cannot be started at all', async () => {
    const { ended, stop, pid } = start('true', { cwd: '/nosuch' });
    expect(pid).toBe(0);
    expect(await ended).toEqual({ kind: 'unstartable', error: expect.stringContaining('ENOENT') });
    expect(await stop()).toEqual(await ended);
  });

  test('later than its pipes when it closes them', async () => {
    const file = newFile();
    const { pid, child, ended } = start(`exec >&- 2>&-; until [ -e ${file} ]; do sleep 0.05; done; exit 4`);
    await Promise.all([once(child.stdout ?? child, 'end'), once(child.stderr ?? child, 'end')]);
    expect(isAlive(pid)).toBe(true);
    writeFileSync(file, '');
    expect(await ended).toEqual({ kind: 'exited', code: 4, signal: null });
  });

  test('although a process that left its group keeps a pipe open', async () => {
    const leave =
      'console.log(require("child_process").spawn("sleep", ["300"], { detached: true, stdio: "inherit" }).pid); process.exit(5)';
    const { ended, output } = start('', { command: [process.execPath, '-e', leave] });
    expect(await ended).toEqual({ kind: 'exited', code: 5, signal: null });
    const left = Number(output.text);
    expect(isAlive(left)).toBe(true);
    process.kill(left, 'SIGKILL');
  });

  test.each(['group', 'command'] as const)(
    'together with what it left in the background, when the %s is to be stopped',
    async stops => {
      const { pid, ended, output } = start('sleep 300 & (sleep 300 & echo started)', { stops });
      expect(await ended).toEqual({ kind: 'exited', code: 0, signal: null });
      expect(output.text).toBe('started\n');
      await isGone(pid);
    },
  );
});

describe('a stop', () => {
  test('is a signal that the command can answer in its own way', async () => {
    const { stop, output } = start('trap "echo bye; exit 6" TERM; echo ready; while :; do sleep 0.05; done');
    await output.shows('ready');
    expect(await stop()).toEqual({ kind: 'exited', code: 6, signal: null });
    expect(output.text).toContain('bye');
  });

  test('is another signal where another is asked for', async () => {
    const script = 'trap "exit 7" INT; trap "exit 8" TERM; echo ready; while :; do sleep 0.05; done';
    const { stop, output } = start(script, { stopSignal: 'SIGINT' });
    await output.shows('ready');
    expect(await stop()).toMatchObject({ code: 7 });
  });

  test('kills a command that ignores it, and its children, after the grace and not before', async () => {
    const graceMs = 300;
    const { pid, stop, output } = start('trap "" TERM; sleep 300 & echo ready; wait; sleep 300', { graceMs });
    await output.shows('ready');
    const stoppedAt = performance.now();
    expect(await stop()).toEqual({ kind: 'exited', code: null, signal: 'SIGKILL' });
    // A timer may fire up to a millisecond early.
    expect(performance.now() - stoppedAt).toBeGreaterThanOrEqual(graceMs - 1);
    await isGone(pid);
  });

  const child = 'sh -c \'trap "echo child got it; exit" TERM; echo ready; while :; do sleep 0.05; done\' &';

  test('reaches every process of the group', async () => {
    const { stop, output } = start(`trap : TERM; ${child} wait; wait; exit 9`);
    await output.shows('ready');
    expect(await stop()).toMatchObject({ code: 9 });
    expect(output.text).toContain('child got it');
  });

  test('reaches only the command where that ends its own children', async () => {
    const { pid, stop, output } = start(`trap "exit 9" TERM; ${child} wait`, { stops: 'command' });
    await output.shows('ready');
    expect(await stop()).toMatchObject({ code: 9 });
    expect(output.text).toBe('ready\n');
    await isGone(pid);
  });

  test('sends one signal, however often it is called', async () => {
    const file = newFile();
    const { stop, output } = start(
      `trap "echo term" TERM; echo ready; until [ -e ${file} ]; do sleep 0.05; done`,
      { stops: 'command' },
    );
    await output.shows('ready');
    const first = stop();
    await output.shows('term');
    const second = stop();
    writeFileSync(file, '');
    expect(await first).toEqual(await second);
    expect(output.text).toBe('ready\nterm\n');
  });

  test.each(['group', 'command'] as const)(
    'ends the %s of a command that has not started yet',
    async stops => {
      const { pid, stop } = start('sleep 300', { stops });
      expect(await stop()).toEqual({ kind: 'exited', code: null, signal: 'SIGTERM' });
      await isGone(pid);
    },
  );
});

describe('a parent that dies', () => {
  /** A process that started a script; gives the ids of both. */
  async function startParent(script: string, options: Partial<GuardedOptions> = {}) {
    const process_ = spawn(process.execPath, [parent, JSON.stringify(withDefaults(script, options))]);
    const output = outputOf(process_);
    await output.shows('ready');
    return { process: process_, pid: Number.parseInt(output.text, 10) };
  }

  test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'by %s takes the command and its children with it',
    async signal => {
      const dying = await startParent('sleep 300 & echo ready; wait');
      expect(isAlive(dying.pid)).toBe(true);
      dying.process.kill(signal);
      await isGone(dying.pid);
    },
  );

  test.each(['group', 'command'] as const)(
    'takes a command that ignores SIGTERM with it, after the grace, when the %s is to be stopped',
    async stops => {
      const ignoring = 'trap "" TERM INT HUP; sleep 300 & echo ready; wait; sleep 300';
      const dying = await startParent(ignoring, { stops, graceMs: 300 });
      dying.process.kill('SIGKILL');
      await isGone(dying.pid);
    },
  );

  test('lets the command end in its own way first', async () => {
    const file = newFile();
    const script = `trap "echo ended > ${file}; exit" TERM; echo ready; while :; do sleep 0.05; done`;
    const dying = await startParent(script, { stops: 'command' });
    dying.process.kill('SIGKILL');
    await isGone(dying.pid);
    expect(readFileSync(file, 'utf8')).toBe('ended\n');
  });
});
