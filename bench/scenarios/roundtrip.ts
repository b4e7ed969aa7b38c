// roundtrip: how long after its publication does the publisher have a task's result? At a low rate.
// graphile-worker and pg-boss have no call that waits for a result; floor has no results.
import { Books } from '../harness/books.ts';
import { LOW, printRound, recordLatency, recordUsage, rounds } from '../harness/laps.ts';
import { runArrivals } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';

export const roundtrip: Scenario = {
  about: 'from publishing to the result in the hands of the publisher',
  sides: ['orch', 'bare', 'bullmq'],
  async run(bench, section, report) {
    const books = new Books();
    for await (const turns of rounds(bench, {
      slots: LOW.slots,
      target: bench.settings.ratePerSecond,
      books,
      isRoundtrip: true,
      drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
    })) {
      recordLatency(section, 'roundtrip', turns, turn => turn.toEnd);
      recordUsage(section, 'roundtrip', turns);
      printRound('roundtrip', turns, ({ toEnd }) => `p50 ${toEnd.percentile(50).toFixed(2)}ms`);
    }
    await books.close(bench, report, 'roundtrip');
  },
};
