// The second half of recovery: tasks come at a steady rate to orch on a cluster of three servers with three copies of
// everything; the server that leads the queue is killed; the longest time in which no handler started is the gap.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../harness/bench.ts';
import { Flights } from '../harness/flights.ts';
import { printRound } from '../harness/laps.ts';
import { constant, runArrivals } from '../harness/load.ts';
import type { Report, Section } from '../harness/report.ts';
import { startCluster } from '../processes/cluster.ts';
import { LANE, openOrchWorker, orchFinals, payload, provisionOrch } from '../sides/index.ts';

const REPLICAS = 3;
const RATE = 50;
const IN_FLIGHT_MAX = 2_000;
const SLOTS = 100;
/** Before the kill the load is steady; after it, an election and its consequences have come to an end. */
const BEFORE_MS = 1_000;
const AFTER_MS = { full: 25_000, smoke: 1_000 };
/** A publish waits for the election. */
const PUBLISH_MS_MAX = 60_000;

/** Kills the leader once a round; records the gaps and checks that nothing was lost or ended twice. */
export async function failOver(
  bench: Bench,
  section: Section,
  report: Report,
  leaseMs: number,
): Promise<void> {
  const { settings, natsServer, dataDir, sync, orch } = bench;
  const cluster = await startCluster(natsServer, dataDir, sync);
  const published = new Set<string>();
  try {
    const options = {
      servers: cluster.urls,
      replicas: REPLICAS,
      leaseMs,
      timeoutMs: PUBLISH_MS_MAX,
      patient: true,
    };
    await provisionOrch(options);
    const publisher = await orch.connect(options);
    await cluster.healthy();
    const starts: number[] = [];
    const flights = new Flights();
    const hooks = {
      started: (n: number) => {
        starts.push(performance.now());
        return flights.started(n);
      },
      ended: (n: number) => flights.ended(n),
      failed: (n: number, error: unknown) => flights.failed(n, error),
    };
    const worker = await openOrchWorker(
      orch,
      cluster.urls,
      { slots: SLOTS, hooks, lanes: [LANE], leaseMs },
      REPLICAS,
    );
    const lap = async () => {
      const flight = flights.take();
      const [{ id }] = await Promise.all([publisher.publishTask({ input: payload(flight.n) }), flight.over]);
      published.add(id);
    };
    const afterMs = settings.isSmoke ? AFTER_MS.smoke : AFTER_MS.full;
    for (let round = 1; round <= bench.rounds; round++) {
      starts.length = 0;
      const load = runArrivals(constant(RATE, BEFORE_MS + afterMs), IN_FLIGHT_MAX, lap);
      await sleep(BEFORE_MS);
      const restart = await cluster.killLeader('ORCH_TASKS');
      await load;
      const gap = longestGap(starts);
      section.perRound('recovery_leader_gap', 'ms', { side: 'orch', replicas: REPLICAS }).add(gap);
      printRound('recovery, leader killed', new Map([['orch', gap]]), ms => `longest gap ${ms.toFixed(0)}ms`);
      await restart();
      await cluster.healthy();
    }
    await worker.close();
    flights.close();
    await publisher.close();
    const ends = await orchFinals(cluster.urls);
    const wrong = [...published].filter(id => ends.get(id) !== 1);
    const foreign = [...ends.keys()].filter(id => !published.has(id));
    report.check(
      `recovery (${sync}), orch: through the death of a leader every task has exactly one final entry`,
      wrong.length === 0 && foreign.length === 0 && flights.lost === 0,
      `${published.size} tasks, ${wrong.length} with none or several, ${foreign.length} unknown, ${flights.lost} lost`,
    );
  } finally {
    await cluster.stop();
  }
}

function longestGap(times: readonly number[]): number {
  return times.reduce((longest, time, index) => Math.max(longest, time - (times[index - 1] ?? time)), 0);
}
