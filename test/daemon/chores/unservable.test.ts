// Waiting tasks that no live node can serve are flagged.
import { expect, onTestFinished, test } from 'vitest';
import { unservable } from '../../../src/daemon/chores/index.ts';
import { Daemon } from '../../../src/daemon/index.ts';
import { parseEntrySubject } from '../../../src/protocol/index.ts';
import { flagService, getTask, listTasks, taskHistory, unclaimedRecord } from '../../../src/tasks/index.ts';
import { roundsOf, startJanitor } from '../../support/chores.ts';
import { nextAttempt } from '../../support/lane.ts';
import { startNats } from '../../support/nats.ts';
import { publishTask } from '../../support/tasks.ts';
import { until } from '../../support/wait.ts';

test('a flag that is written before the publisher’s own entry does not cost the task', async () => {
  const { bus, nats } = await startNats();
  const slow = await nats.bus();
  const write = slow.streams.write.bind(slow.streams);
  slow.streams.write = async (subject, ...rest) => {
    const id = parseEntrySubject(subject)?.id;
    if (id !== undefined && subject.includes('.queued.')) {
      await until('the flag', async () => {
        const fresh = await unclaimedRecord(bus, id);
        return fresh && flagService(bus, id, false, () => fresh, 'janitor');
      });
    }
    return write(subject, ...rest);
  };
  const published = await publishTask(slow, { capabilities: ['rare'] });
  expect(published).toMatchObject({ created: true, state: 'queued' });
  expect((await nextAttempt(bus, 'w', 'rare')).id).toBe(published.id);
});

test('a task that no live node can serve is flagged once, and again when that is over', async () => {
  const { bus, nats } = await startNats();
  const running = startJanitor(bus, [unservable]);
  const { id } = await publishTask(bus, { capabilities: ['rare'] });
  await until('it to be flagged', async () => (await getTask(bus, id)).unservableSince !== undefined);
  await until('more rounds', () => roundsOf(running, unservable) > 5);
  // It can still be claimed, and cancelled, like any other; here a node comes that is paused at first.
  const node = new Daemon(await nats.bus(), {
    node: 'able',
    capabilities: ['rare'],
    runner: async () => ({ kind: 'done' }),
    chores: [],
  });
  await publishTask(bus, { id: 'second', capabilities: ['rare'] });
  await until(
    'the second to be flagged',
    async () => (await getTask(bus, 'second')).unservableSince !== undefined,
  );
  await node.start();
  onTestFinished(() => node.stop(0));
  await until('both to be done', async () => (await listTasks(bus)).every(({ state }) => state === 'done'));
  expect(
    (await taskHistory(bus, id)).map(({ type }) => type).filter(type => type === 'unservable'),
  ).toHaveLength(1);
  expect((await getTask(bus, id)).unservableSince).toBeUndefined();
});

test('a flagged task that waits on is unflagged when a node comes, also by the next janitor', async () => {
  const { bus, nats } = await startNats();
  const first = startJanitor(bus, [unservable], 'first');
  // Due in an hour: nobody claims it meanwhile.
  const notBefore = new Date(Date.now() + 3_600_000).toISOString();
  const { id } = await publishTask(bus, { capabilities: ['rare'], notBefore });
  await until('it to be flagged', async () => (await getTask(bus, id)).unservableSince !== undefined);
  await first.stop();
  const node = new Daemon(await nats.bus(), {
    node: 'able',
    capabilities: ['rare'],
    runner: async () => ({ kind: 'done' }),
    chores: [],
  });
  await node.start();
  onTestFinished(() => node.stop(0));
  startJanitor(bus, [unservable], 'second');
  await until('it to be unflagged', async () => (await getTask(bus, id)).unservableSince === undefined);
  expect(await getTask(bus, id)).toMatchObject({ state: 'queued', notBefore });
  expect((await taskHistory(bus, id)).map(({ type }) => type)).toEqual(['queued', 'unservable', 'servable']);
});
