// presence: what do nodes cost the server by being there? So many keep their records alive with the code and the
// heartbeat of a daemon; one real daemon is among them and does the chores, so that a node that fell silent would be
// reported as lost. A round is as long as a heartbeat: in it every node sends one.
import { type Bus, openBus } from '../../src/bus/index.ts';
import { readStatus } from '../../src/cluster/index.ts';
import { lookAtNodes, readNodes, recentNodeEntries } from '../../src/nodes/index.ts';
import { HEARTBEAT_MS_DEFAULT } from '../../src/protocol/index.ts';
import { printRound, recordLatency, recordUsage } from '../harness/laps.ts';
import type { Report, Section } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { Meter, type Usage } from '../harness/usage.ts';
import { Fleet, type Pulse } from '../processes/fleet.ts';
import type { SideName } from '../settings.ts';

const SMOKE_HEARTBEAT_MS = 500;

export const presence: Scenario = {
  about: 'so many nodes that are there and do nothing: what their heartbeats cost the server',
  rounds: 3,
  sides: ['orch'],
  levels: { of: 'nodes', all: [100, 1_000, 5_000], smoke: [10, 50], max: 10_000 },
  once: { at: 'last', because: 'heartbeats are kept in memory' },
  async run(bench, section, report) {
    const { settings, orch } = bench;
    const served = bench.contestants[0]?.served;
    if (!served) return;
    const heartbeatMs = settings.isSmoke ? SMOKE_HEARTBEAT_MS : HEARTBEAT_MS_DEFAULT;
    const beganAt = new Date();
    const fleet = await Fleet.open(served.url, heartbeatMs);
    const bus = await openBus({ servers: [served.url] });
    const connection = await orch.connect({ servers: [served.url] });
    const daemon = await connection.runWorker({ node: 'daemon', handler: () => undefined });
    try {
      for (const nodes of [...settings.levels.presence].sort((a, b) => a - b)) {
        await fleet.grow(nodes);
        // What the last joins left under way is not counted.
        await fleet.listen(heartbeatMs);
        for (let round = 0; round < bench.rounds; round++) {
          const meter = new Meter(served.pid);
          meter.start();
          const pulse = await fleet.listen(heartbeatMs);
          recordPulse(section, nodes, pulse, meter.stop());
        }
        // Apart from the rounds: a look is work for the server too.
        for (let round = 0; round < bench.rounds; round++) await look(bus, section, nodes);
        await checkPresent(bus, fleet, beganAt, report, `presence (${bench.sync}), ${nodes} nodes`);
      }
    } finally {
      await fleet.close();
      await daemon.stop({ timeoutMs: 0 });
      await connection.close();
      await bus.close();
    }
  },
};

function recordPulse(section: Section, nodes: number, pulse: Pulse, usage: Usage): void {
  const { latency, beats, bytes, elapsedMs } = pulse;
  const tags = { nodes };
  const all = { side: 'orch', nodes };
  recordLatency(section, 'presence', ofOrch(latency), one => one, tags);
  recordUsage(section, 'presence', ofOrch({ tasks: beats, usage }), tags);
  section.perRound('presence_bytes', 'B', all).add(bytes / Math.max(1, beats));
  if (usage.serverCpuUs !== undefined)
    section.perRound('presence_server_load', '%', all).add((100 * usage.serverCpuUs) / (elapsedMs * 1_000));
  const p50 = latency.percentile(50).toFixed(2);
  printRound(`presence, ${nodes} nodes`, ofOrch(pulse), () => `${beats} heartbeats, p50 ${p50}ms`);
}

async function look(bus: Bus, section: Section, nodes: number): Promise<void> {
  const all = { side: 'orch', nodes };
  const lookedAt = performance.now();
  const views = await lookAtNodes(bus);
  section.trend('presence_look', all).add(performance.now() - lookedAt);
  const answered = views.filter(({ answer }) => answer !== undefined).length;
  section.perRound('presence_answered', '%', all).add((100 * answered) / (nodes + 1));
  const askedAt = performance.now();
  await readStatus(bus);
  section.trend('presence_status', all).add(performance.now() - askedAt);
}

async function checkPresent(
  bus: Bus,
  fleet: Fleet,
  beganAt: Date,
  report: Report,
  title: string,
): Promise<void> {
  const present = (await readNodes(bus)).filter(view => view.presence === 'live').length;
  // One that was lost and came back is counted as returned.
  const entries = [...(await recentNodeEntries(bus, beganAt)).values()];
  const lost = entries.filter(({ type }) => type === 'lost').length;
  const { size, returned, taken, failed } = fleet;
  report.check(
    `${title}: all are there, and none was lost meanwhile`,
    // The daemon is one more.
    present === size + 1 && lost + returned + taken === 0,
    `${present - 1} there, ${lost} lost, ${returned} returned, ${taken} taken, ${failed} heartbeats failed`,
  );
}

const ofOrch = <T>(value: T): Map<SideName, T> => new Map([['orch', value]]);
