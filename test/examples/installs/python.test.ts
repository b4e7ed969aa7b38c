// examples/publish.py, with nats-py as the registry has it today.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Examples } from '../../support/example-programs.ts';
import { TestNats } from '../../support/nats.ts';
import { Orch } from '../../support/orch.ts';
import { hasProgram } from '../../support/programs.ts';

const execute = promisify(execFile);

describe.skipIf(!hasProgram('python3'))('the Python publisher', () => {
  let venv: string;
  let nats: TestNats;
  let orch: Orch;
  let examples: Examples;
  beforeAll(async () => {
    venv = await mkdtemp(join(tmpdir(), 'orch-venv-'));
    await execute('python3', ['-m', 'venv', venv]);
    await execute(join(venv, 'bin/python'), ['-m', 'pip', 'install', '--quiet', 'nats-py']);
    nats = await TestNats.start();
    orch = new Orch(nats.url);
    examples = new Examples(orch);
    await orch.start(['worker', '--caps', 'rust,shell', '--node', 'w1']).ready();
  });
  afterAll(async () => {
    examples?.[Symbol.dispose]();
    orch?.[Symbol.dispose]();
    await nats?.[Symbol.asyncDispose]();
    await rm(venv, { recursive: true, force: true });
  });

  const publish = (...words: string[]) =>
    examples.run([join(venv, 'bin/python'), 'examples/publish.py', ...words]);
  const historyOf = async (id: string) => {
    const { history } = JSON.parse((await orch.run(['task', id, '--json'])).stdout);
    return history.map(({ type }: { type: string }) => type);
  };

  test('queues a task in the lane of its capabilities and prints the record of its end', async () => {
    const { code, stdout } = await publish(
      '--id',
      'py-1',
      '--caps',
      'shell,rust',
      'echo 42 > $ORCH_RESULT_FILE',
    );
    expect(JSON.parse(stdout)).toMatchObject({
      id: 'py-1',
      state: 'done',
      lane: 'rust+shell',
      node: 'w1',
      result: 42,
      createdBy: 'publish.py',
    });
    expect(code).toBe(0);
  });

  test('exits with 1 when the task is cancelled', async () => {
    const waiting = publish('--id', 'py-2', '--caps', 'nowhere', 'true');
    const cancel = async () => (await orch.run(['cancel', 'py-2', '--reason', 'enough'])).code;
    await expect.poll(cancel, { timeout: 30_000 }).toBe(0);
    const { code, stdout } = await waiting;
    expect(JSON.parse(stdout)).toMatchObject({ state: 'cancelled', reason: 'enough' });
    expect(code).toBe(1);
  });

  test('waits for a task that is queued already, and leaves it when the time is up', async () => {
    const first = await publish('--id', 'py-3', '--caps', 'nowhere', '--timeout', '0.2', 'true');
    const second = await publish('--id', 'py-3', '--caps', 'nowhere', '--timeout', '0.2', 'true');
    expect([first.code, second.code]).toEqual([7, 7]);
    expect(first.stderr).not.toContain('exists');
    expect(second.stderr).toContain('task py-3 exists; waiting for it');
    expect(JSON.parse((await orch.run(['task', 'py-3', '--json'])).stdout).task.state).toBe('queued');
  });

  test('runs a task once though it is published again after its end', async () => {
    expect((await publish('--id', 'py-4', '--caps', 'shell', 'true')).code).toBe(0);
    expect((await publish('--id', 'py-4', '--caps', 'shell', 'true')).code).toBe(0);
    const waiting = async () => {
      const lanes = JSON.parse((await orch.run(['lanes', '--json'])).stdout);
      const { waiting, inFlight } = lanes.find(({ lane }: { lane: string }) => lane === 'shell');
      return waiting + inFlight;
    };
    await expect.poll(waiting, { timeout: 30_000 }).toBe(0);
    expect((await historyOf('py-4')).filter((type: string) => type === 'done').length).toBe(1);
  });
});
