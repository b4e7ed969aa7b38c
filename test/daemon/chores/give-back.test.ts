// The tasks of a lost node go back to their lanes at once.
import { expect, test } from 'vitest';
import { giveBack } from '../../../src/daemon/chores/index.ts';
import { appendNodeEntry } from '../../../src/nodes/index.ts';
import { doneOf, nodeRecord, startJanitor } from '../../support/chores.ts';
import { nextAttempt, nextDelivery } from '../../support/lane.ts';
import { startNats } from '../../support/nats.ts';
import { publishTask } from '../../support/tasks.ts';
import { until } from '../../support/wait.ts';

test('the tasks of a lost node are given back at once, and those of others are not', async () => {
  // A lease that nobody waits for.
  const { bus } = await startNats({ leaseMs: 600_000 });
  const running = startJanitor(bus, [giveBack]);
  const tasks = await Promise.all([publishTask(bus, {}), publishTask(bus, {}), publishTask(bus, {})]);
  const held = [
    await nextAttempt(bus, 'dead'),
    await nextAttempt(bus, 'dead'),
    await nextAttempt(bus, 'alive'),
  ];
  expect(tasks).toHaveLength(3);
  const online = await appendNodeEntry(bus, { type: 'online', node: nodeRecord('dead') }, 'dead', {
    fence: 0,
  });
  if (online.kind !== 'written') throw new Error('not online');
  await appendNodeEntry(bus, { type: 'lost', node: nodeRecord('dead') }, 'j', { fence: online.seq });
  await until('both to be given back', () => doneOf(running, giveBack) === 2);
  const again = [await nextDelivery(bus), await nextDelivery(bus)];
  const id = (subject: string) => subject.split('.').at(-1);
  expect(again.map(({ subject }) => id(subject)).sort()).toEqual([held[0]?.id, held[1]?.id].sort());
  expect(again.map(({ deliveryCount }) => deliveryCount)).toEqual([2, 2]);
  expect((await bus.lanes.list())[0]).toMatchObject({ waiting: 0, inFlight: 3 });
});
