// sustained: which is the highest rate of arrivals that a side keeps up with? Tasks come at a fixed rate whatever
// becomes of them; the rate is doubled while 99 % of them start within 50 ms of the time at which they were due, then
// narrowed down. A rate that is missed is tried once more: one hiccup is not a limit. Each round is one search.
import { Books } from '../harness/books.ts';
import { openRunners, printRound, type Runner, rest, takeTurn } from '../harness/laps.ts';
import { constant, runArrivals } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';
import { OWN_SIDES, PEERS, type SideName } from '../settings.ts';

const P99_MS_MAX = 50;
const SLOTS = 100;
/** Arrivals beyond this many tasks on their way wait, and their wait counts. */
const IN_FLIGHT_MAX = 2_000;
const FIRST_RATE = 250;
const RATE_MAX = 64_000;
/** Halvings of the last doubling: the rate is then known to an eighth of it. */
const NARROWINGS = 3;
const WARM_UP_MS = 200;

export const sustained: Scenario = {
  about: 'the highest rate of arrivals of which 99 % start within 50 ms',
  rounds: 1,
  sides: [...OWN_SIDES, ...PEERS],
  async run(bench, section, report) {
    const { durationMs, isSmoke } = bench.settings;
    const books = new Books();
    const runners = await openRunners(bench, { books, slots: SLOTS });
    const keepsUp = async (runner: Runner, rate: number) => {
      const drive = (stages: Parameters<typeof runArrivals>[0], lap: Parameters<typeof runArrivals>[2]) =>
        runArrivals(stages, IN_FLIGHT_MAX, lap);
      const stages = constant(rate, WARM_UP_MS + durationMs);
      const { toStart } = await takeTurn(runner, { books, slots: SLOTS, drive }, WARM_UP_MS, stages);
      return toStart.count > 0 && toStart.percentile(99) < P99_MS_MAX;
    };
    try {
      const last = new Map<SideName, number>();
      // Not counted: it warms up.
      for (const runner of runners) await keepsUp(runner, FIRST_RATE);
      for (let round = 1; round <= bench.rounds; round++) {
        const found = new Map<SideName, number>();
        for (const runner of runners) {
          const { name } = runner.contestant.side;
          await rest(bench);
          const from = Math.max(FIRST_RATE, (last.get(name) ?? 0) / 2);
          found.set(name, await search(rate => keepsUp(runner, rate), from, isSmoke ? FIRST_RATE : RATE_MAX));
        }
        section.figures('sustained', '/s', found);
        for (const [name, rate] of found) last.set(name, rate);
        printRound('sustained', found, rate => `${rate.toFixed(0)}/s`);
      }
    } finally {
      for (const runner of runners) await runner.close();
    }
    await books.close(bench, report, 'sustained');
  },
};

// 0: not even a fraction of the first.
async function search(
  keepsUp: (rate: number) => Promise<boolean>,
  firstRate: number,
  rateMax: number,
): Promise<number> {
  let [good, bad] = [0, firstRate];
  const isGood = async (rate: number) => (await keepsUp(rate)) || (await keepsUp(rate));
  while (bad <= rateMax && (await isGood(bad))) [good, bad] = [bad, bad * 2];
  if (bad > rateMax) return good;
  for (let step = 0; step < NARROWINGS; step++) {
    const middle = (good + bad) / 2;
    if (await isGood(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
