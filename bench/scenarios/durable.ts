// durable: what does it cost orch that each write is on the disk before it is acknowledged, and what wins it back? Beside
// the sides, which write once (floor) or four times for a task (bare, orch), orch on other servers: one that syncs each
// second; three with three copies, which sync each write or each second; one of another version, where --newer-server
// names it. The three share this machine's cores and its disk, which real ones would not.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, Contestant } from '../harness/bench.ts';
import { Books } from '../harness/books.ts';
import { LOW, mapped, printRound, rounds } from '../harness/laps.ts';
import { runArrivals, runUsers } from '../harness/load.ts';
import type { Report, Section } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { startCluster } from '../processes/cluster.ts';
import { OWN_SIDES, type SideName } from '../settings.ts';
import { orchSide, provisionOrch, type Served } from '../sides/index.ts';

const REPLICAS = 3;
const SELDOM = '1s';
const USERS = { all: 100, smoke: 20 };

export const durable: Scenario = {
  about: 'what synced writes cost orch, and what copies, another server or fewer writes win back',
  rounds: 5,
  sides: OWN_SIDES,
  once: { at: 'first', because: 'it has syncs of its own' },
  async run(bench, section, report) {
    const contestants = [...bench.contestants];
    const variants: Contestant[] = [];
    try {
      if (contestants.some(({ side }) => side.name === 'orch'))
        for await (const variant of openVariants(bench, report)) variants.push(variant);
      const wider: Bench = { ...bench, contestants: [...contestants, ...variants] };
      const books = new Books();
      const users = bench.settings.isSmoke ? USERS.smoke : USERS.all;
      for await (const turns of rounds(wider, {
        slots: LOW.slots,
        target: bench.settings.ratePerSecond,
        books,
        drive: (stages, lap) => runArrivals(stages, LOW.inFlightMax, lap),
      })) {
        const p50s = mapped(turns, ({ toStart }) => toStart.percentile(50));
        record(section, 'durable_dispatch_p50', 'ms', p50s);
        printRound('durable, dispatch', p50s, ms => `p50 ${ms.toFixed(2)}ms`);
      }
      for await (const turns of rounds(wider, { books, slots: users, target: users, drive: runUsers })) {
        const rates = mapped(turns, ({ perSecond }) => perSecond);
        record(section, 'durable_throughput', '/s', rates);
        printRound(`durable, ${users} in flight`, rates, perSecond => `${perSecond.toFixed(0)}/s`);
      }
      await books.close(wider, report, 'durable');
    } finally {
      await Promise.all(variants.map(({ served }) => served.stop()));
    }
  },
};

// How each compares with orch on one server as the run has it: these are one side in several places, no contest.
function record(section: Section, name: string, unit: 'ms' | '/s', bySide: ReadonlyMap<SideName, number>) {
  const orch = bySide.get('orch');
  for (const [side, value] of bySide) {
    section.perRound(name, unit, { side }).add(value);
    if (orch !== undefined && side !== 'orch')
      section.perRound(`${name}_share`, 'x', { side }).add(value / orch);
  }
}

async function* openVariants(bench: Bench, report: Report): AsyncGenerator<Contestant> {
  const { orch, natsServer, dataDir, sync, settings } = bench;
  const add = async (name: SideName, serve: (folder: string) => Promise<Served>): Promise<Contestant> => {
    const folder = join(dataDir, name);
    await mkdir(folder);
    const served = await serve(folder);
    report.facts[name] = served.facts;
    return { side: { ...orchSide(orch), name }, served };
  };
  const one = (binary: string, how: string) => (folder: string) =>
    orchSide(orch).serve({ dataDir: folder, sync: how, natsServer: binary });
  const three = (how: string) => async (folder: string) => {
    const cluster = await startCluster(natsServer, folder, how);
    const version = await provisionOrch({ servers: cluster.urls, replicas: REPLICAS });
    await cluster.healthy();
    const facts = `${cluster.urls.length} x nats-server ${version}, sync_interval ${how}, file storage, ${REPLICAS} replicas`;
    return { url: cluster.urls.join(), pid: cluster.pid, facts, stop: cluster.stop };
  };
  if (sync !== SELDOM) yield await add('orch-1s', one(natsServer, SELDOM));
  yield await add('orch-r3', three(sync));
  if (sync !== SELDOM) yield await add('orch-r3-1s', three(SELDOM));
  if (settings.newerServer !== undefined) yield await add('orch-newer', one(settings.newerServer, sync));
  else report.absent.set('orch-newer in durable', 'no --newer-server given');
}
