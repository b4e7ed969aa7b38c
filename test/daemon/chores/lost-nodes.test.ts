// Nodes whose keys expired are recorded as lost.
import { expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../../src/bus/index.ts';
import { Janitor, lostNodes } from '../../../src/daemon/chores/index.ts';
import { silent } from '../../../src/daemon/index.ts';
import type { Tenure } from '../../../src/leases/index.ts';
import { appendNodeEntry, lastNodeEntry } from '../../../src/nodes/index.ts';
import { JOURNAL } from '../../../src/protocol/index.ts';
import { nodeRecord, roundsOf } from '../../support/chores.ts';
import { startNats } from '../../support/nats.ts';
import { until } from '../../support/wait.ts';

async function entries(bus: Bus, filter: string): Promise<string[]> {
  const subjects: string[] = [];
  for await (const { subject } of bus.streams.range(JOURNAL, { filter })) subjects.push(subject);
  return subjects;
}

test('a node whose key expired is lost, said once by however many notice', async () => {
  const { bus, nats } = await startNats();
  await appendNodeEntry(bus, { type: 'online', node: nodeRecord('gone') }, 'gone', { fence: 0 });
  // Three that believe to hold the lease, at the same moment.
  const contexts = await Promise.all(
    ['a', 'b', 'c'].map(async actor => ({
      bus: await nats.bus(),
      actor,
      tenure: {
        signal: new AbortController().signal,
        revision: 1,
        remainingMs: 9_999,
        check() {},
      } as unknown as Tenure,
      logger: silent,
      healthyForMs: () => Number.POSITIVE_INFINITY,
    })),
  );
  const rounds = contexts.map(context => lostNodes.begin(context, () => {}));
  const done = await Promise.all(rounds.map(({ round }) => round()));
  expect(done.reduce((sum, count) => sum + count)).toBe(1);
  expect(await entries(bus, 'journal.node.gone.lost.>')).toHaveLength(1);
});

test('nobody is lost to a janitor that was not heard itself', async () => {
  const { bus } = await startNats();
  await appendNodeEntry(bus, { type: 'online', node: nodeRecord('quiet') }, 'quiet', { fence: 0 });
  const unheard = new Janitor(bus, {
    holder: { node: 'j', incarnation: 'j' },
    chores: [{ ...lostNodes, everyMs: 50 }],
    logger: silent,
    healthyForMs: () => 500,
  });
  unheard.start();
  onTestFinished(() => unheard.stop());
  await until('a few rounds', () => roundsOf(unheard, lostNodes) > 5);
  expect((await lastNodeEntry(bus, 'quiet'))?.type).toBe('online');
});
