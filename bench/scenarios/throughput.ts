// throughput: how many tasks a second go all the way, from publishing to acknowledged? Each virtual user publishes a
// task, waits until it has ended and publishes the next, so that users are tasks in flight.
import type { Settings } from '../command-line.ts';
import type { Environment } from '../environment.ts';
import { peak, runUsers } from '../load.ts';
import { metricOf, PerRound, type Report, Trend } from '../report.ts';
import { Books, printRound, rounds } from './round.ts';

export async function throughput(
  environment: Environment,
  settings: Settings,
  report: Report,
): Promise<void> {
  const section = report.section('THROUGHPUT: publish to acknowledged');
  const books = new Books();
  for (const users of settings.stages ? [peak(settings.stages)] : settings.vus) {
    const options = { slots: users, target: users, books, drive: runUsers };
    for await (const turns of rounds(environment, settings, options)) {
      for (const [side, { toEnd, perSecond, cpu }] of turns) {
        const tags = `{side:${side},in_flight:${users}}`;
        metricOf(section, `tasks${tags}`, () => new PerRound('/s')).add(perSecond);
        metricOf(section, `task_duration${tags}`, () => new Trend()).merge(toEnd);
        metricOf(section, `task_client_cpu${tags}`, () => new PerRound('µs')).add(cpu.clientUs);
        if (cpu.serverUs !== undefined)
          metricOf(section, `task_server_cpu${tags}`, () => new PerRound('µs')).add(cpu.serverUs);
      }
      printRound(`throughput, ${users} in flight`, turns, ({ perSecond }) => `${perSecond.toFixed(0)}/s`);
      const [orch, bare] = [turns.get('orch'), turns.get('bare')];
      if (!orch || !bare) continue;
      const ratio = orch.perSecond / bare.perSecond;
      metricOf(section, `throughput_ratio{in_flight:${users}}`, () => new PerRound('x')).add(ratio);
    }
  }
  await books.close(environment, report, 'throughput');
}
