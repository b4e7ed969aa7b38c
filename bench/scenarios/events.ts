// events: what does it cost that people watch? So many tails watch every task while tasks come at a low rate; measured
// are dispatch, and the time from publishing until each tail has seen the end.
import { Books, settled } from '../harness/books.ts';
import { LOW, printRound, recordLatency, recordUsage, rounds } from '../harness/laps.ts';
import { runArrivals } from '../harness/load.ts';
import type { Scenario } from '../harness/scenario.ts';
import type { SideName } from '../settings.ts';
import type { Side } from '../sides/index.ts';

/** All tails run in this process: at a higher rate it would measure its own load. */
const RATE_MAX = 50;

export const events: Scenario = {
  about: 'so many tails that see each task end, and dispatch beside them',
  rounds: 3,
  sides: ['orch', 'bullmq'],
  levels: { of: 'tails', all: [1, 10, 100], smoke: [1, 5], max: 1_000 },
  once: { at: 'last', because: 'what tails cost is not the disk' },
  async run(bench, section, report) {
    const books = new Books();
    for (const tails of bench.settings.levels.events) {
      const tags = { tails };
      const watches = new Map<SideName, Watch>();
      const open: { close(): Promise<void> }[] = [];
      for (const { side, served } of bench.contestants) {
        const watch = new Watch(section.trend('events_latency', { side: side.name, ...tags }));
        watches.set(side.name, watch);
        for (let tail = 0; tail < tails; tail++)
          open.push(await openTail(side, served.url, id => watch.seen(id)));
      }
      for await (const turns of rounds(bench, {
        slots: LOW.slots,
        target: Math.min(bench.settings.ratePerSecond, RATE_MAX),
        books,
        drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
        onLap: (side, ...lap) => watches.get(side)?.published(...lap),
      })) {
        recordLatency(section, 'events_dispatch', turns, turn => turn.toStart, tags);
        recordUsage(section, 'events', turns, tags);
        printRound(
          `events, ${tails} tails`,
          turns,
          ({ toStart }) => `p50 ${toStart.percentile(50).toFixed(2)}ms`,
        );
      }
      for (const watch of watches.values()) await settled(async () => watch.sightings, watch.tasks * tails);
      for (const tail of open) await tail.close();
      for (const [side, watch] of watches) {
        const { tasks, sightings } = watch;
        const name = `events (${bench.sync}), ${side}, ${tails} tails: every tail saw every end`;
        report.check(name, sightings === tasks * tails, `${tasks} tasks, ${sightings} sightings`);
      }
    }
    await books.close(bench, report, 'events');
  },
};

const openTail = async ({ name, openTail }: Side, url: string, onEnd: (id: string) => void) => {
  if (!openTail) throw new Error(`${name} has no tails`);
  return openTail(url, onEnd);
};

/** Matches ends with publications; a tail may see an end before the publication is acknowledged. */
class Watch {
  readonly #latency: { add(ms: number): void };
  readonly #intended = new Map<string, number>();
  readonly #early = new Map<string, number[]>();
  tasks = 0;
  sightings = 0;

  constructor(latency: { add(ms: number): void }) {
    this.#latency = latency;
  }

  published(id: string, intendedAt: number, isMeasured: boolean): void {
    this.tasks++;
    this.#intended.set(id, isMeasured ? intendedAt : Number.NaN);
    for (const at of this.#early.get(id) ?? []) this.#add(at, id);
    this.#early.delete(id);
  }

  seen(id: string): void {
    const now = performance.now();
    this.sightings++;
    if (this.#intended.has(id)) this.#add(now, id);
    else this.#early.set(id, [...(this.#early.get(id) ?? []), now]);
  }

  #add(at: number, id: string): void {
    const ms = at - (this.#intended.get(id) ?? Number.NaN);
    if (!Number.isNaN(ms)) this.#latency.add(ms);
  }
}
