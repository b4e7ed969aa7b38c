// backlog: does a task wait longer because many others do? Tasks that no worker here may take are queued first (another
// lane; another queue or task identifier elsewhere), then dispatch is measured beside them.
import type { Contestant } from '../harness/bench.ts';
import { Books } from '../harness/books.ts';
import { fill } from '../harness/fill.ts';
import { type Baseline, LOW, printRound, recordGrowth, recordLatency, rounds } from '../harness/laps.ts';
import { runArrivals } from '../harness/load.ts';
import { median } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { PEERS, type SideName } from '../settings.ts';
import { payload } from '../sides/index.ts';

const PARKED = 'parked';
const QUEUED_MAX = 10_000_000;
/** A side whose dispatch takes so many times as long as at first is spared longer backlogs: tasks would seem lost. */
const GROWTH_MAX = 10;

export const backlog: Scenario = {
  about: 'dispatch while so many tasks of other lanes are queued',
  rounds: 3,
  sides: ['orch', 'bare', ...PEERS],
  levels: { of: 'tasks queued', all: [0, 10_000, 100_000, 1_000_000], smoke: [0, 300], max: QUEUED_MAX },
  once: { at: 'last', because: 'to queue a million tasks takes a quarter of an hour where each is synced' },
  async run(bench, section, report) {
    const books = new Books();
    const baseline: Baseline = new Map();
    let contestants = bench.contestants;
    for (const queued of bench.settings.levels.backlog) {
      for (const contestant of contestants) await park(contestant, books, queued);
      const tags = { queued };
      let round = 0;
      const growth = new Map<SideName, number[]>();
      for await (const turns of rounds(
        { ...bench, contestants },
        {
          slots: LOW.slots,
          target: bench.settings.ratePerSecond,
          books,
          drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
        },
      )) {
        recordLatency(section, 'backlog', turns, turn => turn.toStart, tags);
        for (const [side, by] of recordGrowth(section, 'backlog', baseline, round++, turns, tags))
          growth.set(side, [...(growth.get(side) ?? []), by]);
        printRound(
          `backlog, ${queued} queued`,
          turns,
          ({ toStart }) => `p50 ${toStart.percentile(50).toFixed(2)}ms`,
        );
      }
      contestants = contestants.filter(({ side: { name } }) => {
        const by = median(growth.get(name) ?? []);
        if (by > GROWTH_MAX)
          report.absent.set(
            `${name} in backlog beyond ${queued}`,
            `its p50 was ${by.toFixed(0)} times that of the first level`,
          );
        return !(by > GROWTH_MAX);
      });
    }
    await books.close(bench, report, 'backlog');
  },
};

// As many as are missing.
async function park({ side, served }: Contestant, books: Books, queued: number): Promise<void> {
  const account = books.of(side.name);
  const publisher = await side.openPublisher(served.url);
  // They never run: their number does not matter.
  await fill(publisher, queued - account.parked, () => payload(0), { lane: PARKED });
  await publisher.close();
  await side.settle?.(served.url);
  account.parked = Math.max(account.parked, queued);
  process.stderr.write(`backlog: ${side.name} has ${account.parked} queued\n`);
}
