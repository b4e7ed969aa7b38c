// examples/publish.sh and examples/nightly.sh. Both read what orch prints with jq, which a user may not have.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Examples } from '../support/example-programs.ts';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { hasProgram } from '../support/programs.ts';

const canRun = hasProgram('jq');

let nats: TestNats;
let orch: Orch;
let examples: Examples;
let worker: Running;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
  examples = new Examples(orch);
  worker = orch.start(['worker', '--caps', 'shell', '--node', 'w1', '--concurrency', '2']);
  await worker.ready();
});
afterAll(async () => {
  examples[Symbol.dispose]();
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

const taskOf = async (id: string) => JSON.parse((await orch.run(['task', id, '--json'])).stdout);

describe.skipIf(!canRun)('the shell publisher', () => {
  const publish = (words: string[], env: NodeJS.ProcessEnv = {}, input = '') =>
    examples.run(['examples/publish.sh', ...words], { env, input });

  test('waits for a task and prints its result', async () => {
    const script = 'echo \'{"ok":true}\' > "$ORCH_RESULT_FILE"';
    const { code, stdout } = await publish(['shell', script], { TASK_ID: 'sh-1' });
    expect([code, stdout]).toEqual([0, 'sh-1: done by w1 in attempt 1, result {"ok":true}\n']);
  });

  test('reads the script from stdin where none is given', async () => {
    const { code, stdout } = await publish(['shell'], { TASK_ID: 'sh-2' }, 'exit 0\n');
    expect([code, stdout]).toEqual([0, 'sh-2: done by w1 in attempt 1, result none\n']);
  });

  test('exits with 1 and the reason when the task is cancelled', async () => {
    const waiting = publish(['nowhere', 'true'], { TASK_ID: 'sh-3' });
    await expect.poll(async () => (await orch.run(['cancel', 'sh-3'])).code, { timeout: 30_000 }).toBe(0);
    const { code, stdout } = await waiting;
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^sh-3: cancelled \(.*\)\n$/)]);
  });

  test('exits with 7 when it has waited long enough, and waits on when it is called again', async () => {
    const early = await publish(['nowhere', 'true'], { TASK_ID: 'sh-4', WAIT: '100ms' });
    expect([early.code, early.stdout]).toEqual([7, expect.stringContaining('sh-4: still running')]);
    const again = publish(['nowhere', 'true'], { TASK_ID: 'sh-4' });
    await orch.run(['cancel', 'sh-4', '--reason', 'enough']);
    expect((await again).stdout).toBe('sh-4: cancelled (enough)\n');
    const { history } = await taskOf('sh-4');
    expect(history.map(({ type }: { type: string }) => type)).toEqual(['queued', 'cancelled']);
  });

  test('exits with 3 where no server answers, and tells how to go on', async () => {
    const env = { TASK_ID: 'sh-5', NATS_URL: 'nats://127.0.0.1:1' };
    const { code, stdout } = await publish(['shell', 'true'], env);
    expect([code, stdout]).toEqual([3, expect.stringContaining('run this again with TASK_ID=sh-5')]);
  });
});

describe.skipIf(!canRun)('the cron-like publisher', () => {
  const nightly = (period: string) => {
    const script = join(orch.home, 'backup.sh');
    writeFileSync(script, 'echo saved\n');
    return examples.run(['examples/nightly.sh', 'backup', 'shell', script], { env: { PERIOD: period } });
  };

  test('publishes once a period, however many machines call it at the same moment', async () => {
    const calls = await Promise.all(Array.from({ length: 4 }, () => nightly('2026-01-31')));
    expect(calls.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const published = calls.filter(({ stdout }) => stdout === 'backup-2026-01-31: published\n');
    expect(published.length).toBe(1);
    const { history } = await taskOf('backup-2026-01-31');
    expect(history.filter(({ type }: { type: string }) => type === 'queued').length).toBe(1);
  });

  test('finds a task that has ended, and publishes the next period', async () => {
    const done = ['publish-task', '--id', 'backup-2026-02-01', '--caps', 'shell', '--wait', 'true'];
    expect((await orch.run(done)).code).toBe(0);
    expect((await nightly('2026-02-01')).stdout).toBe('backup-2026-02-01: exists, done\n');
    expect((await nightly('2026-02-02')).stdout).toBe('backup-2026-02-02: published\n');
  });
});
