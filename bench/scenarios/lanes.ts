// lanes: does it cost a task anything that its worker serves many lanes? Tasks come at a low rate to
// each lane in turn; one worker serves them all. A lane is a queue name elsewhere, a task identifier in graphile-worker.
import { Books } from '../harness/books.ts';
import {
  type Baseline,
  LOW,
  printRound,
  recordGrowth,
  recordLatency,
  recordUsage,
  rounds,
} from '../harness/laps.ts';
import { runArrivals } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';
import { PEERS } from '../settings.ts';
import { laneName } from '../sides/index.ts';

/** As many as orch allows. */
const LANES_MAX = 256;

export const lanes: Scenario = {
  about: 'dispatch to a worker that serves so many lanes',
  rounds: 3,
  sides: ['orch', 'bare', ...PEERS],
  levels: { of: 'lanes', all: [1, 10, 100, LANES_MAX], smoke: [1, 5], max: LANES_MAX },
  once: { at: 'last', because: 'what lanes cost is not the disk' },
  async run(bench, section, report) {
    const books = new Books();
    const baseline: Baseline = new Map();
    for (const count of bench.settings.levels.lanes) {
      const names = Array.from({ length: count }, (_, index) => laneName(index));
      const tags = { lanes: count };
      let round = 0;
      for await (const turns of rounds(bench, {
        slots: LOW.slots,
        lanes: names,
        target: bench.settings.ratePerSecond,
        books,
        drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
      })) {
        recordLatency(section, 'lanes', turns, turn => turn.toStart, tags);
        recordGrowth(section, 'lanes', baseline, round++, turns, tags);
        recordUsage(section, 'lanes', turns, tags);
        printRound(`lanes, ${count}`, turns, ({ toStart }) => `p50 ${toStart.percentile(50).toFixed(2)}ms`);
      }
    }
    await books.close(bench, report, 'lanes');
  },
};
