import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../../src/bus/index.ts';
import { execRunner } from '../../../src/daemon/index.ts';
import { cancelTask, type TaskSpec, taskOutput, waitForTask } from '../../../src/tasks/index.ts';
import { TestNats } from '../../support/nats.ts';
import { startDaemon } from '../../support/node.ts';
import { isRunning } from '../../support/processes.ts';
import { publishTask } from '../../support/tasks.ts';
import { until } from '../../support/wait.ts';

let nats: TestNats;
let bus: Bus;
let workDir: string;
let stop: () => Promise<void>;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
  workDir = await mkdtemp(join(tmpdir(), 'orch-exec-'));
  const env = { ...process.env, NATS_URL: 'nats://secret@x', ORCH_SECRET: 's', KEPT: 'kept' };
  // The task's input is the script, so that each test says what it runs.
  const runner = execRunner({ command: 'sh', workDir, env, graceMs: 300, keepWork: false });
  const worker = await startDaemon(bus, { node: 'execs', concurrency: 4, runner });
  stop = () => worker.stop(0);
});
afterAll(async () => {
  await stop();
  await nats[Symbol.asyncDispose]();
  await rm(workDir, { recursive: true, force: true });
});

async function run(script: string, spec: TaskSpec = {}) {
  const { id } = await publishTask(bus, { input: script, maxAttempts: 1, ...spec });
  const record = await waitForTask(bus, id, AbortSignal.timeout(30_000));
  const lines: string[] = [];
  for await (const chunk of taskOutput(bus, id))
    lines.push(...chunk.lines.map(line => `${chunk.stream}: ${line}`));
  return { id, record, lines };
}

describe('what a command is given', () => {
  test('its id, its attempt, its task as a file and a folder of its own', async () => {
    const { id, record } = await run(
      'printf "%s %s %s" "$ORCH_TASK_ID" "$ORCH_ATTEMPT" "$(pwd)" > "$ORCH_RESULT_FILE"',
    );
    expect(record.result).toBe(`${id} 1 ${join(workDir, `${id}.1`)}`);
    expect(readdirSync(workDir)).not.toContain(`${id}.1`);
  });

  test('the task file carries the description and the input', async () => {
    const { record } = await run('cp "$ORCH_TASK_FILE" "$ORCH_RESULT_FILE"', {
      description: 'copy me',
      labels: { a: 'b' },
    });
    expect(record.result).toMatchObject({
      attempt: 1,
      description: 'copy me',
      labels: { a: 'b' },
      priority: 'medium',
      lane: 'any',
    });
  });

  test('no credentials of the worker and nothing of orch but its own', async () => {
    const { record } = await run(
      'env | grep -E "^(NATS|ORCH|KEPT)" | cut -d= -f1 | sort > "$ORCH_RESULT_FILE"',
    );
    expect(String(record.result).trim().split('\n')).toEqual([
      'KEPT',
      'ORCH_ATTEMPT',
      'ORCH_NODE',
      'ORCH_RESULT_FILE',
      'ORCH_TASK_FILE',
      'ORCH_TASK_ID',
    ]);
  });

  test('the trace of its task', async () => {
    const { record } = await run('printf %s "$TRACEPARENT" > "$ORCH_RESULT_FILE"', {
      traceparent: `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`,
    });
    expect(record.result).toMatch(/^00-c{32}-[0-9a-f]{16}-01$/);
  });
});

describe('how it ends', () => {
  test('exit 0 is done, with a result that is JSON where it can be', async () => {
    expect((await run('echo \'{"a":[1]}\' > "$ORCH_RESULT_FILE"')).record).toMatchObject({
      state: 'done',
      exitCode: 0,
      result: { a: [1] },
    });
    expect((await run('true')).record).not.toHaveProperty('result');
  });

  test('another exit code is failed, with the last line as the reason', async () => {
    const { record } = await run('echo fine; echo "no such crate" >&2; exit 3');
    expect(record).toMatchObject({
      state: 'failed',
      reason: 'error',
      exitCode: 3,
      error: 'exit code 3: no such crate',
    });
  });

  test('a signal is failed too, with the exit code that a shell gives it', async () => {
    expect((await run('kill -SEGV $$')).record).toMatchObject({ state: 'failed', exitCode: 139 });
  });

  test('exit 75 gives the task back unharmed', async () => {
    const script = 'if [ "$ORCH_ATTEMPT" = 1 ]; then exit 75; fi';
    const { record } = await run(script, { backoff: { baseMs: 20 } });
    expect(record).toMatchObject({ state: 'done', attempt: 2, forgiven: 1 });
  });
});

describe('what it prints', () => {
  test('each stream line by line, the last one without an end included', async () => {
    const { lines } = await run('echo one; printf two; echo err >&2');
    expect(lines.sort()).toEqual(['stderr: err', 'stdout: one', 'stdout: two']);
  });

  test('a line that is too long is cut, and one that never ends does not pile up', async () => {
    const { lines } = await run('head -c 100000 /dev/zero | tr "\\0" x');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual('stdout: '.length + 8_192);
  });

  test('a command that does not read a large input is not held up', async () => {
    const { record } = await run(`exit 0\n${'#'.repeat(300_000)}`);
    expect(record.state).toBe('done');
  });
});

describe('what is left of it', () => {
  test('nothing in the background outlives a command that ended', async () => {
    const { record } = await run('sleep 300 & echo $! > "$ORCH_RESULT_FILE"');
    await until('the child to be gone', () => !isRunning(Number(record.result)));
  });

  test('a command over its time is ended as a group, even when it ignores SIGTERM', async () => {
    const { record, lines } = await run('trap "" TERM; sleep 300 & echo $!; wait; sleep 300', {
      timeoutMs: 300,
    });
    expect(record).toMatchObject({ state: 'failed', reason: 'timeout' });
    const pid = Number(lines[0]?.replace('stdout: ', ''));
    expect(pid).toBeGreaterThan(0);
    await until('the group to be gone', () => !isRunning(pid));
  });

  test('a cancelled command is ended', async () => {
    const { id } = await publishTask(bus, { input: 'echo $$; sleep 300' });
    let pid = 0;
    await until('it to print its pid', async () => {
      for await (const chunk of taskOutput(bus, id)) pid = Number(chunk.lines[0]);
      return pid;
    });
    await cancelTask(bus, id, 'op');
    await until('it to be gone', () => !isRunning(pid));
  });
});
