// recovery: what does a death cost? A worker is killed in the middle of a task: how long until another one runs it? And
// the leader of the queue is killed in a cluster of three servers: for how long does no task start?
// The first depends on the lease, which stands beside it: 15 s in orch and floor, 30 s of lock and a look every 30 s in
// BullMQ, their defaults. graphile-worker (4 h) and pg-boss (15 min) are not waited for.
import type { Bench, Contestant } from '../harness/bench.ts';
import { Books } from '../harness/books.ts';
import { printRound } from '../harness/laps.ts';
import type { Scenario } from '../harness/scenario.ts';
import { machineMs, startChild } from '../processes/child.ts';
import type { SideName } from '../settings.ts';
import { LANE, LEASE_MS, payload } from '../sides/index.ts';
import { failOver } from './failover.ts';

/** A task that has not come back after this will not. */
const RECOVERY_MS_MAX = 120_000;
const SMOKE_LEASE_MS = 1_500;

export const recovery: Scenario = {
  about:
    'a worker killed in a task: until it runs again; the leader of three servers killed: the longest gap',
  rounds: 3,
  sides: ['orch', 'floor', 'bullmq'],
  leaseMs: isSmoke => (isSmoke ? SMOKE_LEASE_MS : undefined),
  once: { at: 'first', because: 'what is waited for is a lease and an election' },
  async run(bench, section, report) {
    const books = new Books();
    for (let round = 1; round <= bench.rounds; round++) {
      const times = new Map<SideName, number>();
      // Side by side: what is measured is waiting.
      await Promise.all(
        bench.contestants.map(async contestant => {
          const { name } = contestant.side;
          times.set(name, await killWorker(bench, contestant, books, round));
        }),
      );
      section.figures('recovery_worker', 'ms', times);
      printRound('recovery, worker killed', times, ms => `${ms.toFixed(0)}ms`);
    }
    await books.close(bench, report, 'recovery');
    if (bench.contestants.some(({ side }) => side.name === 'orch')) {
      await failOver(bench, section, report, bench.settings.isSmoke ? SMOKE_LEASE_MS : LEASE_MS);
    }
  },
};

/** From the kill to the start of the next attempt, in milliseconds. */
async function killWorker(
  bench: Bench,
  { side, served }: Contestant,
  books: Books,
  n: number,
): Promise<number> {
  const account = books.of(side.name);
  const lease = bench.settings.isSmoke ? { leaseMs: SMOKE_LEASE_MS } : {};
  const publisher = await side.openPublisher(served.url);
  let notice = () => {};
  const started = new Promise<void>(resolve => {
    notice = resolve;
  });
  const victim = await startChild(
    { side: side.name, url: served.url, slots: 1, holds: true, ...lease },
    { started: notice, ended: () => {}, failed: () => {} },
  );
  account.published.add(await publisher.publish(payload(n)));
  await within(started, `${side.name}: the worker to start the task`);
  let restartedAt = 0;
  let finish = () => {};
  const finished = new Promise<void>(resolve => {
    finish = resolve;
  });
  const successor = await side.openWorker(served.url, {
    slots: 1,
    lanes: [LANE],
    ...lease,
    hooks: {
      started: () => {
        if (restartedAt > 0) account.doubled++;
        else restartedAt = machineMs();
        return undefined;
      },
      ended: () => {
        account.ran++;
        finish();
      },
      failed: () => {
        account.lost++;
        finish();
      },
    },
  });
  const killedAt = machineMs();
  await victim.kill();
  await within(finished, `${side.name}: the task to come back`);
  await successor.close();
  await publisher.close();
  return restartedAt - killedAt;
}

async function within(promise: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${RECOVERY_MS_MAX / 1_000}s for ${what}`)),
      RECOVERY_MS_MAX,
    );
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
