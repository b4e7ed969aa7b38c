// publish: how many tasks a second does one publisher get acknowledged, with no worker? One at a time, 100 and
// 1,000 in flight, and 1,000 in one call where a side has such a call.
import type { Bench, Contestant } from '../harness/bench.ts';
import { settled } from '../harness/books.ts';
import { FILL_BATCH } from '../harness/fill.ts';
import { mapped, printRound, recordUsage, rest } from '../harness/laps.ts';
import { constant, runUsers } from '../harness/load.ts';
import type { Report, Section } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { Meter, type Usage } from '../harness/usage.ts';
import { OWN_SIDES, PEERS, type SideName } from '../settings.ts';
import { type Publisher, payload } from '../sides/index.ts';

const WARM_UP_MS = 100;
const BATCH = 'batch';

interface Turn {
  tasks: number;
  perSecond: number;
  usage: Usage;
}

export const publish: Scenario = {
  about: 'acknowledged publishes a second, so many in flight, and in batches',
  rounds: 3,
  sides: [...OWN_SIDES, ...PEERS],
  levels: { of: 'publishes in flight', all: [1, 100, 1_000], smoke: [1, 50], max: 10_000 },
  async run(bench, section, report) {
    const publishers = new Map<Contestant, Publisher>();
    for (const contestant of bench.contestants)
      publishers.set(contestant, await contestant.side.openPublisher(contestant.served.url));
    try {
      for (const inFlight of bench.settings.levels.publish)
        await runLevel(bench, section, report, inFlight, publishers);
      const batching = new Map([...publishers].filter(([, publisher]) => publisher.publishMany));
      if (batching.size > 0) await runLevel(bench, section, report, BATCH, batching);
    } finally {
      for (const publisher of publishers.values()) await publisher.close();
    }
  },
};

async function runLevel(
  bench: Bench,
  section: Section,
  report: Report,
  level: number | typeof BATCH,
  publishers: ReadonlyMap<Contestant, Publisher>,
): Promise<void> {
  const off = new Map<SideName, string>();
  const { rounds, settings } = bench;
  const { durationMs } = settings;
  for (let round = 0; round <= rounds; round++) {
    const turns = new Map<SideName, Turn>();
    for (const [{ side, served }, publisher] of publishers) {
      await rest(bench);
      const { total, ...turn } = await takeTurn(
        publisher,
        level,
        round === 0 ? durationMs / 2 : durationMs,
        served.pid,
      );
      turns.set(side.name, turn);
      const left = await settled(() => side.left(served.url), total);
      if (left !== total) off.set(side.name, `round ${round}: ${total} acknowledged, ${left} queued`);
      await side.clear(served.url);
    }
    if (round === 0) continue;
    const tags = { in_flight: level };
    section.figures(
      'publish',
      '/s',
      mapped(turns, turn => turn.perSecond),
      tags,
    );
    recordUsage(section, 'publish', turns, tags);
    printRound(`publish, ${level} in flight`, turns, ({ perSecond }) => `${perSecond.toFixed(0)}/s`);
  }
  for (const { side } of publishers.keys()) {
    const wrong = off.get(side.name);
    const name = `publish (${bench.sync}), ${side.name}, ${level} in flight: what was acknowledged is queued`;
    report.check(name, wrong === undefined, wrong ?? `${rounds + 1} turns`);
  }
}

async function takeTurn(
  publisher: Publisher,
  level: number | typeof BATCH,
  durationMs: number,
  serverPid: number,
): Promise<Turn & { total: number }> {
  const measureFrom = performance.now() + WARM_UP_MS;
  const meter = new Meter(serverPid);
  let [total, tasks, n, lastAt] = [0, 0, 0, measureFrom];
  const count = (published: number) => {
    total += published;
    const now = performance.now();
    if (now < measureFrom) return;
    meter.start();
    tasks += published;
    lastAt = now;
  };
  const one = async () => {
    await publisher.publish(payload(n++));
    count(1);
  };
  const many = async () => {
    const inputs = Array.from({ length: FILL_BATCH }, () => payload(n++));
    count((await publisher.publishMany?.(inputs))?.length ?? 0);
  };
  await runUsers(
    constant(level === BATCH ? 1 : level, WARM_UP_MS + durationMs),
    level === BATCH ? many : one,
  );
  // On a machine that was too busy to acknowledge any within the turn, it is one call long.
  if (tasks === 0) await (level === BATCH ? many() : one());
  return { total, tasks, perSecond: tasks / ((lastAt - measureFrom) / 1_000), usage: meter.stop() };
}
