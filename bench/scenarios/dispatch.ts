// dispatch: how long after its publication does a task's handler start? Tasks come at a low rate, one at a time, so
// that nothing queues and what is measured is the way itself.
import type { Settings } from '../command-line.ts';
import type { Environment } from '../environment.ts';
import { peak, runArrivals } from '../load.ts';
import { metricOf, PerRound, type Report, Trend } from '../report.ts';
import { Books, printRound, rounds } from './round.ts';

/** One at a time: a task that comes while another is on its way waits, and its wait counts. */
const USERS = 1;

export async function dispatch(environment: Environment, settings: Settings, report: Report): Promise<void> {
  const rate = settings.stages ? `up to ${peak(settings.stages)}` : settings.ratePerSecond;
  const section = report.section(`DISPATCH: publish to start of handler, one at a time, ${rate} tasks/s`);
  const books = new Books();
  const options = {
    slots: USERS,
    target: settings.ratePerSecond,
    books,
    drive: (stages, lap) => runArrivals(stages, USERS, lap),
  } satisfies Parameters<typeof rounds>[2];
  for await (const turns of rounds(environment, settings, options)) {
    for (const [side, { toStart }] of turns) {
      metricOf(section, `dispatch_latency{side:${side}}`, () => new Trend()).merge(toStart);
      metricOf(section, `dispatch_p50{side:${side}}`, () => new PerRound('ms')).add(toStart.percentile(50));
    }
    printRound('dispatch', turns, ({ toStart }) => `p50 ${toStart.percentile(50).toFixed(2)}ms`);
    const [orch, bare] = [turns.get('orch'), turns.get('bare')];
    if (!orch || !bare) continue;
    for (const percent of [50, 99]) {
      const ratio = orch.toStart.percentile(percent) / bare.toStart.percentile(percent);
      metricOf(section, `dispatch_p${percent}_ratio`, () => new PerRound('x')).add(ratio);
    }
  }
  await books.close(environment, report, 'dispatch');
}
