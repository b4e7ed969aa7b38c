// Tasks that the journal has and the queue has not.
import { expect, onTestFinished, test } from 'vitest';
import { missingMessages } from '../../../src/daemon/chores/index.ts';
import { Daemon } from '../../../src/daemon/index.ts';
import { encode, TASKS } from '../../../src/protocol/index.ts';
import { getTask, taskHistory, waitForTask } from '../../../src/tasks/index.ts';
import { startJanitor } from '../../support/chores.ts';
import { nextAttempt } from '../../support/lane.ts';
import { startNats } from '../../support/nats.ts';
import { newRecord } from '../../support/record.ts';
import { publishTask } from '../../support/tasks.ts';
import { until } from '../../support/wait.ts';

test('an entry whose message never came is given up, and publishing the id again completes it', async () => {
  const { bus } = await startNats();
  const { id } = await publishTask(bus, { id: 'half', input: 'x' });
  await bus.streams.purge(TASKS, 'tasks.>');
  startJanitor(bus, [missingMessages(500)]);
  await until('it to be given up', async () => (await getTask(bus, id)).state === 'failed');
  expect((await getTask(bus, id)).reason).toBe('unpublished');
  expect(await publishTask(bus, { id, input: 'x' })).toMatchObject({ created: true, state: 'queued' });
  expect((await nextAttempt(bus, 'w')).id).toBe(id);
  expect((await taskHistory(bus, id)).map(({ type }) => type)).toEqual([
    'queued',
    'failed',
    'requeued',
    'claimed',
  ]);
});

test('an id that was given up and published again is run, however soon its message is claimed', async () => {
  const { bus, nats } = await startNats();
  const node = new Daemon(await nats.bus(), {
    node: 'racer',
    runner: async () => ({ kind: 'done' }),
    chores: [],
  });
  await node.start();
  onTestFinished(() => node.stop(0));
  for (let i = 0; i < 20; i++) {
    const task = { ...newRecord({ id: `again-${i}` }), reason: 'unpublished', error: 'no message' };
    const entry = (type: string) => encode({ type, at: task.updatedAt, actor: 'op', nonce: type, task });
    await bus.streams.write(`journal.task.${task.id}.queued.op.medium_any`, entry('queued'));
    task.state = 'failed';
    await bus.streams.write(`journal.task.${task.id}.failed.op`, entry('failed'));
    expect((await publishTask(bus, { id: task.id })).created).toBe(true);
    expect((await waitForTask(bus, task.id, AbortSignal.timeout(5_000))).state).toMatch(/done|failed/);
    await until('it to be done', async () => (await getTask(bus, task.id)).state === 'done', 5_000);
  }
});

test('a retry that died half-way is completed', async () => {
  const { bus } = await startNats();
  const { id } = await publishTask(bus, { input: 'kept', maxAttempts: 1 });
  const attempt = await nextAttempt(bus, 'w');
  await attempt.fail({ reason: 'error', error: 'no' });
  const failed = await until('it to be a dead letter', async () => {
    const history = await taskHistory(bus, id);
    return history.at(-1)?.type === 'failed' && history.at(-1);
  });
  const task = { ...failed.task, state: 'queued', forgiven: failed.task.attempt };
  const entry = { type: 'requeued', at: new Date().toISOString(), actor: 'op', nonce: 'n', task };
  await bus.streams.write(`journal.task.${id}.requeued.op`, encode(entry));
  startJanitor(bus, [missingMessages(100)]);
  const again = await until('it to be in the queue', () => nextAttempt(bus, 'w').catch(() => undefined));
  expect(again).toMatchObject({ id, input: 'kept' });
});

test('a running task whose message vanished is left to its holder, and ended where there is none', async () => {
  const { bus } = await startNats();
  const { id } = await publishTask(bus, {});
  await nextAttempt(bus, 'nobody');
  await bus.streams.purge(TASKS, 'tasks.>');
  startJanitor(bus, [missingMessages(100)]);
  await until('it to be given up', async () => (await getTask(bus, id)).state === 'failed');
  expect((await getTask(bus, id)).reason).toBe('message-lost');
});
