// A lease that several nodes compete for.
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { Lease, readLease, type Tenure } from '../../src/leases/index.ts';
import { LEASES, type LeaseRecord } from '../../src/protocol/index.ts';
import { Link } from '../support/link.ts';
import { startNats } from '../support/nats.ts';
import { until } from '../support/wait.ts';

const record = (node: string): LeaseRecord => ({
  node,
  incarnation: node,
  since: new Date().toISOString(),
  chores: {},
});
const untilOver = (tenure: Tenure) =>
  new Promise<void>(resolve => tenure.signal.addEventListener('abort', () => resolve(), { once: true }));

describe('the lease', () => {
  test('has one holder at a time, and passes on at once when it is given back', async () => {
    const { nats } = await startNats();
    let [holders, most, tenures] = [0, 0, 0];
    const revisions: number[] = [];
    const start = async (node: string) => {
      const lease = new Lease(await nats.bus(), {
        name: 'test',
        record: () => record(node),
        ttlMs: 4_000,
        onError: () => {},
        work: async tenure => {
          most = Math.max(most, ++holders);
          tenures++;
          revisions.push(tenure.revision);
          await untilOver(tenure);
          holders--;
        },
      });
      lease.start();
      onTestFinished(() => lease.stop());
      return lease;
    };
    const leases = await Promise.all(['a', 'b', 'c'].map(start));
    for (let round = 1; round <= 3; round++) {
      const holder = await until('somebody to hold it', () => leases.find(lease => lease.isHeld));
      await holder.stop();
      leases.splice(leases.indexOf(holder), 1);
    }
    expect({ most, tenures }).toEqual({ most: 1, tenures: 3 });
    // The fence: each later holder has a higher revision.
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });

  test('that is held by something that cannot be read is nobody’s', async () => {
    const { bus } = await startNats();
    const bucket = bus.buckets.open(LEASES);
    await bus.streams.write('$KV.orch-leases.test', Buffer.from('junk'));
    const lease = new Lease(bus, {
      name: 'test',
      record: () => record('a'),
      ttlMs: 3_000,
      onError: () => {},
      work: untilOver,
    });
    lease.start();
    onTestFinished(() => lease.stop());
    await until('it to be held', () => lease.isHeld);
    expect((await bucket.get('test')).value).not.toEqual(Buffer.from('junk'));
  });

  test('is let go by a holder that is cut off before another takes it', async () => {
    const { nats, bus } = await startNats();
    const link = await Link.to(nats.url);
    onTestFinished(() => link[Symbol.asyncDispose]());
    const log: string[] = [];
    const start = (node: string, on: Bus) => {
      const lease = new Lease(on, {
        name: 'test',
        record: () => record(node),
        ttlMs: 3_000,
        onError: () => {},
        work: async tenure => {
          log.push(`${node} begins`);
          await untilOver(tenure);
          log.push(`${node} ends`);
        },
      });
      lease.start();
      onTestFinished(() => lease.stop());
      return lease;
    };
    const a = start('a', await nats.bus({ servers: [link.url] }));
    await until('a to hold it', () => a.isHeld);
    const b = start('b', bus);
    link.cut();
    await until('b to hold it', () => b.isHeld);
    expect(log).toEqual(['a begins', 'a ends', 'b begins']);
    // What a sent while it was cut off is worth nothing.
    link.heal();
    await until('b to have renewed', async () => (await readLease(bus, 'test'))?.node === 'b');
    expect(a.isHeld).toBe(false);
  });
});
