import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { isFinal, JOURNAL, TASKS } from '../../src/protocol/index.ts';
import { claim, publishTask, taskJournal } from '../../src/tasks/index.ts';
import { nextDelivery } from '../support/lane.ts';
import { TEST_LEASE_MS } from '../support/nats.ts';
import { until } from '../support/wait.ts';
import { type CutOff, REPLICAS, TestCluster } from './cluster.ts';

const WORKERS = 6;
/** Tasks to be acknowledged before the cut, during it and after it. */
const TASKS_PER_PHASE = 60;
const PUBLISH_PAUSE_MS = 5;
const RETRY_PAUSE_MS = 100;
/** An election takes up to 11 s, and a write may wait for one. */
const PHASE_MS = 60_000;
const TEST_MS = 5 * PHASE_MS;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

test.each<{ stream: string; from: CutOff }>([
  { stream: TASKS, from: 'everybody' },
  { stream: JOURNAL, from: 'everybody' },
  { stream: TASKS, from: 'its peers' },
  { stream: JOURNAL, from: 'its peers' },
])(
  'while the leader of $stream is cut off from $from and after, no acknowledged task is lost or ends twice',
  async ({ stream, from }) => {
    const before = await until('a leader', () => leaderOf(stream), PHASE_MS);
    const others = cluster.urls.filter(url => url !== cluster.urlOf(before));
    const acknowledged = new Set<string>();
    const stop = new AbortController();
    // One of each stays with the leader, one with the others, and the rest are where they like to be.
    const servers = [
      [cluster.urlOf(before)],
      others,
      ...Array.from({ length: WORKERS - 2 }, () => cluster.urls),
    ];
    const buses = await Promise.all(servers.map(urls => cluster.bus({ servers: urls })));
    onTestFinished(async () => {
      stop.abort();
      await Promise.all(buses.map(bus => bus.close()));
    });
    const lane = `${stream.toLowerCase()}-${from.replaceAll(' ', '-')}`;
    await buses[0]?.ensureLane('medium', lane);
    buses.forEach((bus, i) => void work(bus, lane, `w${i}`));
    const publishing = buses
      .slice(0, 2)
      .map((bus, i) => publishSteadily(bus, lane, `p${i}`, acknowledged, stop.signal));
    const more = (when: string) => {
      const target = acknowledged.size + TASKS_PER_PHASE;
      return until(`tasks to be acknowledged ${when}`, () => acknowledged.size >= target, PHASE_MS);
    };

    await more('before the cut');
    await cluster.cutOff(before, from);
    onTestFinished(() => cluster.heal(before));
    const elected = async () => {
      const leader = await leaderOf(stream, others);
      return leader !== undefined && leader !== before;
    };
    await until('another leader', elected, PHASE_MS);
    await more('during the cut');
    await cluster.heal(before);
    await until('all copies to be current', isWhole, PHASE_MS);
    await more('after the cut');
    stop.abort();
    await Promise.all(publishing);

    const [reader] = buses;
    if (!reader) throw new Error('no connection');
    const waiting = () => reader.subjects(TASKS, `tasks.*.${lane}.*`);
    await until('the queue to be empty', async () => (await waiting()).length === 0, PHASE_MS);
    await until('all copies to be current', isWhole, PHASE_MS);
    const ends = await finalEntries(reader, lane);
    expect([...acknowledged].filter(id => ends.get(id)?.length !== 1)).toEqual([]);
    // A task whose publish was never acknowledged may have no end, but not two.
    expect([...ends].filter(([, types]) => types.length > 1)).toEqual([]);
  },
  TEST_MS,
);

const leaderOf = async (stream: string, servers?: string[]): Promise<string | undefined> =>
  (await cluster.streamInfo(stream, servers))?.cluster?.leader;

async function isWhole(): Promise<boolean> {
  const streams = await Promise.all([TASKS, JOURNAL].map(stream => cluster.streamInfo(stream)));
  return streams.every(info => {
    const followers = info?.cluster?.replicas ?? [];
    return followers.length === REPLICAS - 1 && followers.every(({ current, lag }) => current && !lag);
  });
}

/** A worker by hand: it takes one task after the other, ends it, and survives whatever is thrown at it. */
async function work(bus: Bus, lane: string, actor: string): Promise<void> {
  while (!bus.isClosed) {
    try {
      const outcome = await claim(bus, await nextDelivery(bus, lane), { actor, leaseMs: TEST_LEASE_MS });
      if (outcome.kind === 'claimed') await outcome.attempt.done(actor);
    } catch {
      // No leader, or no connection: the lease runs out and somebody takes over.
      await sleep(RETRY_PAUSE_MS);
    }
  }
}

/** Publishes task after task; each is tried again until it is acknowledged. */
async function publishSteadily(
  bus: Bus,
  lane: string,
  actor: string,
  acknowledged: Set<string>,
  stop: AbortSignal,
): Promise<void> {
  for (let i = 0; !stop.aborted; ) {
    const id = `${lane}-${actor}-${i}`;
    try {
      await publishTask(bus, { id, capabilities: [lane], maxAttempts: 100 }, actor);
      acknowledged.add(id);
      i++;
    } catch {
      // Not acknowledged: the same id again.
    }
    await sleep(PUBLISH_PAUSE_MS);
  }
}

/** The final entries of each task of a lane. */
async function finalEntries(bus: Bus, lane: string): Promise<Map<string, string[]>> {
  const ends = new Map<string, string[]>();
  for await (const stored of bus.streams.range(JOURNAL, { filter: 'journal.task.>' })) {
    const { task, type } = taskJournal.read(stored);
    if (task.lane !== lane) continue;
    const types = ends.get(task.id) ?? [];
    ends.set(task.id, isFinal(task.state) ? [...types, type] : types);
  }
  return ends;
}
