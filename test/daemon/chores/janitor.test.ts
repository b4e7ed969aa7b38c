// The janitor: the chores of the cluster, done by one node at a time.
import { describe, expect, test } from 'vitest';
import { foreignLanes } from '../../../src/daemon/chores/index.ts';
import type { Chore } from '../../../src/daemon/index.ts';
import { LEASES } from '../../../src/protocol/index.ts';
import { doneOf, roundsOf, startJanitor } from '../../support/chores.ts';
import { startNats } from '../../support/nats.ts';
import { until } from '../../support/wait.ts';

describe('chores', () => {
  test('are done by one of many, and by the next when that one is gone', async () => {
    const { bus, nats } = await startNats();
    const janitors = await Promise.all(
      ['a', 'b', 'c'].map(async node => startJanitor(await nats.bus(), [foreignLanes], node)),
    );
    const first = await until('one to do them', () => janitors.find(({ isHolder }) => isHolder));
    await until('some rounds', () => roundsOf(first, foreignLanes) > 3);
    expect(janitors.filter(({ isHolder }) => isHolder)).toHaveLength(1);
    await first.stop();
    const others = janitors.filter(other => other !== first);
    const second = await until('another to do them', () => others.find(({ isHolder }) => isHolder));
    await until('some rounds', () => roundsOf(second, foreignLanes) > 3);
    expect((await bus.buckets.open(LEASES).list()).map(({ key }) => key)).toEqual(['chores']);
  });

  test('that fail are counted with their reason and tried again, and the others go on', async () => {
    const { bus } = await startNats();
    let tries = 0;
    const failing: Chore = {
      name: 'failing',
      everyMs: 100,
      begin: () => ({
        round: async () => {
          tries++;
          if (tries < 3) throw new Error('the reason');
          return 1;
        },
      }),
    };
    const running = startJanitor(bus, [failing, foreignLanes]);
    await until('a failure', () => running.counts.get('failing')?.failures === 2);
    expect(running.counts.get('failing')).toMatchObject({ error: 'the reason' });
    await until('it to succeed', () => doneOf(running, failing) > 0);
    expect(running.counts.get('failing')?.failures).toBe(0);
    expect(roundsOf(running, foreignLanes)).toBeGreaterThan(0);
  });
});
