// dispatch: how long after its publication does a task's handler start? Tasks come at a low rate, so that
// nothing queues and what is measured is the way itself.
import { Books } from '../harness/books.ts';
import { LOW, printRound, recordLatency, recordUsage, rounds } from '../harness/laps.ts';
import { runArrivals } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';
import { OWN_SIDES, PEERS } from '../settings.ts';

export const dispatch: Scenario = {
  about: 'from publishing to the start of the handler, at a low rate',
  sides: [...OWN_SIDES, ...PEERS],
  async run(bench, section, report) {
    const books = new Books();
    for await (const turns of rounds(bench, {
      slots: LOW.slots,
      target: bench.settings.ratePerSecond,
      books,
      drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
    })) {
      recordLatency(section, 'dispatch', turns, turn => turn.toStart);
      recordUsage(section, 'dispatch', turns);
      printRound('dispatch', turns, ({ toStart }) => `p50 ${toStart.percentile(50).toFixed(2)}ms`);
    }
    await books.close(bench, report, 'dispatch');
  },
};
