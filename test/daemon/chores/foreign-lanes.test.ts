// What foreign clients publish: lanes without a consumer, and messages that are no tasks.

import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { foreignLanes } from '../../../src/daemon/chores/index.ts';
import { TASKS } from '../../../src/protocol/index.ts';
import { getTask } from '../../../src/tasks/index.ts';
import { doneOf, startJanitor } from '../../support/chores.ts';
import { nextAttempt } from '../../support/lane.ts';
import { startNats } from '../../support/nats.ts';
import { until } from '../../support/wait.ts';

test('a lane that a foreign client published to is made, and its task is run', async () => {
  const { bus, nats } = await startNats();
  const running = startJanitor(bus, [foreignLanes]);
  const nc = await connect({ servers: nats.url });
  nc.publish('tasks.medium.foreign.f-1', JSON.stringify({ input: 'x' }));
  await nc.flush();
  await until('the lane', async () => (await bus.lanes.list()).some(({ lane }) => lane === 'foreign'));
  expect((await nextAttempt(bus, 'w', 'foreign')).id).toBe('f-1');
  expect(doneOf(running, foreignLanes)).toBe(1);
  await nc.close();
});

test.each([
  ['a priority that does not exist', 'tasks.urgent.any.bad-1'],
  ['a lane that is not in its one form', 'tasks.medium.rust+freebsd.bad-1'],
])('a message with %s ends as invalid, and what it was is kept', async (_what, subject) => {
  const { bus, nats } = await startNats();
  startJanitor(bus, [foreignLanes]);
  const nc = await connect({ servers: nats.url });
  nc.publish(subject, JSON.stringify({ input: 'x' }));
  await nc.flush();
  await until(
    'it to fail',
    async () => (await getTask(bus, 'bad-1').catch(() => undefined))?.state === 'failed',
  );
  expect((await getTask(bus, 'bad-1')).reason).toBe('invalid');
  await until('the queue to be empty', async () => (await bus.streams.messageCount(TASKS)) === 0);
  expect(await bus.streams.subjects('ORCH_DEAD', 'dead.>')).toEqual(['dead.bad-1']);
  await nc.close();
});
