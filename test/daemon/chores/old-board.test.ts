// The board keeps open tasks and dead letters, and loses the rest after a while.
import { expect, test } from 'vitest';
import { oldBoard } from '../../../src/daemon/chores/index.ts';
import { BOARD } from '../../../src/protocol/index.ts';
import { cancelTask, getTask, listTasks } from '../../../src/tasks/index.ts';
import { startJanitor } from '../../support/chores.ts';
import { nextAttempt } from '../../support/lane.ts';
import { startNats } from '../../support/nats.ts';
import { publishTask } from '../../support/tasks.ts';
import { until } from '../../support/wait.ts';

test('tasks that ended well leave the board, and not the journal; dead letters stay', async () => {
  const { bus } = await startNats();
  const ids = await Promise.all(Array.from({ length: 5 }, async () => (await publishTask(bus, {})).id));
  await Promise.all(ids.map(id => cancelTask(bus, id, 'op')));
  const dead = await publishTask(bus, { maxAttempts: 1 });
  await (await nextAttempt(bus, 'w')).fail({ reason: 'error', error: 'no' });
  await until(
    'the board to have all',
    async () => (await bus.streams.subjects(BOARD, '$KV.orch-board.>')).length === 6,
  );
  startJanitor(bus, [oldBoard(200)]);
  await until(
    'the board to be short',
    async () => (await bus.streams.subjects(BOARD, '$KV.orch-board.>')).length === 1,
  );
  expect((await listTasks(bus)).map(({ id }) => id)).toEqual([dead.id]);
  expect((await getTask(bus, ids[0] ?? '')).state).toBe('cancelled');
});
