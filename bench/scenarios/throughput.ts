// throughput: how many tasks a second go all the way, from publishing to acknowledged? Each virtual user publishes a
// task, waits until it has ended and publishes the next, so that users are tasks in flight.
import { Books } from '../harness/books.ts';
import { mapped, printRound, recordUsage, rounds } from '../harness/laps.ts';
import { peak, runUsers } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';
import { OWN_SIDES, PEERS } from '../settings.ts';

export const throughput: Scenario = {
  about: 'tasks a second from publishing to acknowledged, so many in flight',
  rounds: 5,
  sides: [...OWN_SIDES, ...PEERS],
  levels: { of: 'virtual users', all: [1, 100], smoke: [1, 20], max: 1_000 },
  async run(bench, section, report) {
    const { stages, levels } = bench.settings;
    const books = new Books();
    for (const users of stages ? [peak(stages)] : levels.throughput) {
      const tags = { in_flight: users };
      for await (const turns of rounds(bench, { slots: users, target: users, books, drive: runUsers })) {
        section.figures(
          'throughput',
          '/s',
          mapped(turns, turn => turn.perSecond),
          tags,
        );
        for (const [side, { toEnd }] of turns)
          section.trend('throughput_task_duration', { side, ...tags }).merge(toEnd);
        recordUsage(section, 'throughput', turns, tags);
        printRound(`throughput, ${users} in flight`, turns, ({ perSecond }) => `${perSecond.toFixed(0)}/s`);
      }
    }
    await books.close(bench, report, 'throughput');
  },
};
