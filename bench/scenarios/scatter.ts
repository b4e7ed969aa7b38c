// scatter: how long does a question to all memories take, by the number of nodes that answer it? And what when one of
// them is stopped: the answer must come at the deadline, and name it. The nodes share this machine, a few processes and
// their cores: with many of them the time is that of all their work, which elsewhere is done side by side.
import { join } from 'node:path';
import type { GatheredReply } from '../../src/index.ts';
import { settled } from '../harness/books.ts';
import { printRound, recordLatency } from '../harness/laps.ts';
import { type Report, type Section, Trend } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';
import { questionsAbout } from '../memory/records.ts';
import { ASKER, agentContents, nodeName, type Owner, startOwner } from '../processes/owner.ts';
import type { Tags } from '../settings.ts';

const RECORDS = { full: 1_000, smoke: 50 };
const QUESTIONS = { full: 50, smoke: 5 };
/** Asked while a node is stopped: it must not be stopped for so long that it is lost. */
const STOPPED_QUESTIONS = { full: 10, smoke: 1 };
const NODES_PER_PROCESS = 16;
/** The node that is stopped: it has a process of its own. */
const VICTIM = 0;
/** The default of orch; in a smoke run, which may be on a slow machine, longer than any answer takes. */
const DEADLINE_MS = { full: 500, smoke: 5_000 };
/** A timer comes late where more wants to run than there are cores. */
const LATE_MS_MAX = 250;
/** As many as one question reaches. */
const NODES_MAX = 256;

type Ask = (query: string) => Promise<GatheredReply>;

export const scatter: Scenario = {
  about: 'a question to all memories, of so many nodes with 1,000 records each; and with one node stopped',
  rounds: 3,
  sides: ['orch'],
  levels: { of: 'nodes', all: [1, 10, 50], smoke: [1, 3], max: NODES_MAX },
  once: { at: 'last', because: 'reading does not wait for the disk' },
  async run(bench, section, report) {
    const { settings, dataDir, sync, orch } = bench;
    const url = bench.contestants[0]?.served.url;
    if (url === undefined) return;
    const size = settings.isSmoke ? 'smoke' : 'full';
    const records = RECORDS[size];
    const questions = questionsAbout(agentContents(VICTIM, records), QUESTIONS[size]);
    const connection = await orch.connect({ servers: [url] });
    const ask: Ask = query => connection.recallAll({ as: ASKER, query }, { deadlineMs: DEADLINE_MS[size] });
    const owners: Owner[] = [];
    let running = 0;
    try {
      for (const level of [...settings.levels.scatter].sort((a, b) => a - b)) {
        while (running < level) {
          const count = running === VICTIM ? 1 : Math.min(NODES_PER_PROCESS, level - running);
          const nodes = Array.from({ length: count }, (_, index) => running + index);
          owners.push(
            await startOwner({ side: 'orch', url, dir: join(dataDir, 'memories'), nodes, records }),
          );
          running += count;
        }
        const title = `scatter (${sync}), ${level} nodes`;
        const tags = { nodes: level };
        const begun = await whole(ask, questions, level);
        report.check(`${title}: all answer`, begun === level, `${begun} answered`);
        await measure(bench.rounds, ask, questions, section, report, title, tags);
        const [victim] = owners;
        if (!victim) continue;
        victim.freeze();
        const stopped = questions.slice(0, STOPPED_QUESTIONS[size]);
        const slowestMs = await measureStopped(ask, stopped, section, report, title, tags);
        // The speed of the machine decides this one: a smoke run leaves it out.
        if (!settings.isSmoke) checkDeadline(slowestMs, report, title);
        victim.thaw();
        const answered = await whole(ask, questions, level);
        report.check(`${title}: all answer when it goes on`, answered === level, `${answered} answered`);
      }
    } finally {
      await connection.close();
      await Promise.all(owners.map(owner => owner.kill()));
    }
  },
};

// A node that has just begun has not announced its agents yet, and one that was stopped has to catch up.
const whole = (ask: Ask, [query = '']: readonly string[], level: number): Promise<number> =>
  settled(async () => (await ask(query)).nodes, level);

async function measure(
  rounds: number,
  ask: Ask,
  questions: readonly string[],
  section: Section,
  report: Report,
  title: string,
  tags: Tags & { nodes: number },
): Promise<void> {
  let [asked, empty, dishonest] = [0, 0, 0];
  for (let round = 0; round <= rounds; round++) {
    const trend = new Trend();
    let partial = 0;
    for (const query of questions) {
      const askedAt = performance.now();
      const answer = await ask(query);
      trend.add(performance.now() - askedAt);
      asked++;
      if (answer.partial) partial++;
      if (answer.items.length === 0 && !answer.partial) empty++;
      if (answer.nodes + answer.missing.length < tags.nodes || answer.partial !== answer.missing.length > 0)
        dishonest++;
    }
    if (round === 0) continue;
    recordLatency(section, 'scatter', new Map([['orch', trend]]), one => one, tags);
    section
      .perRound('scatter_whole', '%', { side: 'orch', ...tags })
      .add(100 * (1 - partial / questions.length));
    printRound(title, new Map([['orch', trend]]), one => `p50 ${one.percentile(50).toFixed(2)}ms`);
  }
  report.check(
    `${title}: every whole answer has something, and each other one names the nodes that are missing`,
    empty === 0 && dishonest === 0,
    `${asked} asked, ${empty} whole and empty, ${dishonest} that do not name what they lack`,
  );
}

async function measureStopped(
  ask: Ask,
  questions: readonly string[],
  section: Section,
  report: Report,
  title: string,
  tags: Tags,
): Promise<number> {
  const all = { side: 'orch', ...tags };
  const trend = section.trend('scatter_stopped_latency', all);
  const slowest = section.perRound('scatter_stopped_max', 'ms', all);
  let [named, maxMs] = [0, 0];
  for (const query of questions) {
    const askedAt = performance.now();
    const { partial, missing } = await ask(query);
    const ms = performance.now() - askedAt;
    trend.add(ms);
    maxMs = Math.max(maxMs, ms);
    if (partial && missing.some(({ node }) => node === nodeName(VICTIM))) named++;
  }
  slowest.add(maxMs);
  report.check(
    `${title}, one stopped: every answer is partial and names it`,
    named === questions.length,
    `${named} of ${questions.length} answers`,
  );
  return maxMs;
}

function checkDeadline(slowestMs: number, report: Report, title: string): void {
  const deadlineMs = DEADLINE_MS.full;
  report.check(
    `${title}, one stopped: every answer comes at the deadline at the latest`,
    slowestMs <= deadlineMs + LATE_MS_MAX,
    `the slowest after ${slowestMs.toFixed(0)} ms; deadline ${deadlineMs} ms, and ${LATE_MS_MAX} ms for a busy machine`,
  );
}
