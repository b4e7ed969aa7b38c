// recall: what does the wire add to a memory's answer? The owner of an agent is another process; it is asked through
// orch, and beside it a plain request to a process that recalls from the same records in the same way. Both are asked
// the same questions one after the other, a fixed number a turn, so that no side gets the easier ones.
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { RecallReply } from '../../src/index.ts';
import type { Bench, Contestant } from '../harness/bench.ts';
import { printRound, recordLatency } from '../harness/laps.ts';
import { Trend } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { questionsAbout } from '../memory/records.ts';
import { ASKER, agentContents, agentName, BARE_RECALL, type Owner, startOwner } from '../processes/owner.ts';
import type { SideName } from '../settings.ts';

const RECORDS = { full: 10_000, smoke: 200 };
const QUESTIONS = { full: 200, smoke: 10 };
/** The one node of each side, with the one agent. */
const NODE = 0;
const ANSWER_MS_MAX = 30_000;

type Ask = (query: string) => Promise<RecallReply>;

export const recall: Scenario = {
  about: 'a question to a memory of 10,000 records in another process, beside a plain request for the same',
  rounds: 5,
  sides: ['orch', 'bare'],
  once: { at: 'last', because: 'reading does not wait for the disk' },
  async run(bench, section, report) {
    const size = bench.settings.isSmoke ? 'smoke' : 'full';
    const questions = questionsAbout(agentContents(NODE, RECORDS[size]), QUESTIONS[size]);
    const owners: Owner[] = [];
    const askers = new Map<SideName, { ask: Ask; close(): Promise<void> }>();
    const answers = new Map<SideName, string[]>();
    try {
      for (const contestant of bench.contestants) {
        const { side, served } = contestant;
        const dir = join(bench.dataDir, `memories-${side.name}`);
        const nodes = [NODE];
        const name = side.name === 'bare' ? 'bare' : 'orch';
        owners.push(await startOwner({ side: name, url: served.url, dir, nodes, records: RECORDS[size] }));
        askers.set(side.name, await openAsker(bench, contestant));
      }
      for (let round = 0; round <= bench.rounds; round++) {
        const turns = new Map<SideName, Trend>();
        for (const [side, { ask }] of askers) {
          const trend = new Trend();
          const found: string[] = [];
          for (const query of questions) {
            const askedAt = performance.now();
            const { items } = await ask(query);
            trend.add(performance.now() - askedAt);
            found.push(items.map(({ id }) => id).join(' '));
          }
          turns.set(side, trend);
          answers.set(side, [...(answers.get(side) ?? []), ...found]);
        }
        // The first round warms up.
        if (round === 0) continue;
        recordLatency(section, 'recall', turns, trend => trend);
        const [orch, bare] = [turns.get('orch'), turns.get('bare')];
        if (orch && bare)
          section
            .perRound('recall_overhead', 'ms', { to: 'bare' })
            .add(orch.percentile(50) - bare.percentile(50));
        printRound('recall', turns, trend => `p50 ${trend.percentile(50).toFixed(2)}ms`);
      }
    } finally {
      for (const { close } of askers.values()) await close();
      for (const owner of owners) await owner.kill();
    }
    const [expected = [], ...others] = answers.values();
    const empty = expected.filter(ids => ids === '').length;
    const differing = others.flatMap(ids => ids.filter((found, index) => found !== expected[index])).length;
    report.check(
      `recall (${bench.sync}): every question has an answer, the same from each side`,
      expected.length > 0 && empty === 0 && differing === 0,
      `${expected.length} questions to each of ${answers.size} sides, ${empty} without answer, ${differing} answered differently`,
    );
  },
};

async function openAsker({ orch }: Bench, { side, served }: Contestant) {
  if (side.name === 'orch') {
    const connection = await orch.connect({ servers: [served.url], timeoutMs: ANSWER_MS_MAX });
    const memory = connection.memory({ as: ASKER, agent: agentName(NODE) });
    const ask: Ask = query => memory.recall({ query });
    return { ask, close: () => connection.close() };
  }
  const nc = await connect({ servers: served.url, noAsyncTraces: true });
  const ask: Ask = async query => {
    const question = JSON.stringify({ as: ASKER, query });
    return (await nc.request(BARE_RECALL, question, { timeout: ANSWER_MS_MAX })).json<RecallReply>();
  };
  return { ask, close: () => nc.close() };
}
