// quality: how good are the answers? The questions of bench/data/classics.json, by words alone and together with the
// vectors of the deterministic embedder, which knows pieces of words and no meaning. recall@10 is the share of the
// relevant passages among the first ten; nDCG@10 also asks how far up they stand. Passages are the same in rank and
// weight, so only the ranking counts.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type MemoryOptions, openMemory } from '../../src/memory/index.ts';
import { hashingEmbedder } from '../../test/support/hashing-embedder.ts';
import type { MemoryBenchSettings } from '../settings.ts';
import { metricOf, type Report, Share } from './report.ts';

const TOP = 10;
const AT = '2026-01-01T00:00:00.000Z';

interface Classics {
  passages: { id: string; source: string; text: string }[];
  questions: { query: string; relevant: string[] }[];
}

export async function quality(_settings: MemoryBenchSettings, report: Report): Promise<void> {
  // The bundle lies in bench/out.
  const file = fileURLToPath(new URL('../data/classics.json', import.meta.url));
  const classics = JSON.parse(await readFile(file, 'utf8')) as Classics;
  const { passages, questions } = classics;
  const section = report.section(
    `Quality: ${questions.length} questions about ${passages.length} passages (bench/data/classics.json)`,
  );
  for (const [name, options] of [
    ['keyword', {}],
    ['hybrid', { embedder: hashingEmbedder() }],
  ] as const) {
    const answers = await answersOf(classics, options, name, report);
    const add = (metric: string, values: readonly number[]) => {
      const share = metricOf(section, `${metric}{method:${name}}`, () => new Share());
      for (const value of values) share.add(value);
    };
    add(
      `recall@${TOP}`,
      questions.map(({ relevant }, i) => recallOf(answers[i] ?? [], relevant)),
    );
    add(
      `nDCG@${TOP}`,
      questions.map(({ relevant }, i) => gainOf(answers[i] ?? [], relevant)),
    );
  }
}

async function answersOf(
  { passages, questions }: Classics,
  options: Pick<MemoryOptions, 'embedder'>,
  method: string,
  report: Report,
): Promise<string[][]> {
  const dir = await mkdtemp(join(tmpdir(), 'orch-bench-'));
  const memory = await openMemory({ dir, agent: 'bench', ...options });
  try {
    await memory.import(
      passages.map(({ id, source, text }) =>
        JSON.stringify({ id, source, content: text, createdAt: AT, lastUsedAt: AT, version: 1 }),
      ),
    );
    await memory.embedded();
    const replies = [];
    for (const { query } of questions) replies.push(await memory.recall({ as: 'bench', query, limit: TOP }));
    const others = replies.filter(reply => reply.method !== method);
    report.checks.push({
      name: `quality: every answer is ${method}`,
      ok: others.length === 0,
      detail: `${replies.length} answers`,
    });
    return replies.map(({ items }) => items.map(item => item.id));
  } finally {
    await memory.close();
    await rm(dir, { recursive: true, force: true });
  }
}

const recallOf = (answer: readonly string[], relevant: readonly string[]): number =>
  relevant.filter(id => answer.includes(id)).length / Math.min(TOP, relevant.length);

function gainOf(answer: readonly string[], relevant: readonly string[]): number {
  const gain = (hits: readonly boolean[]) =>
    hits.reduce((sum, isHit, place) => sum + (isHit ? 1 / Math.log2(place + 2) : 0), 0);
  const best = gain(relevant.slice(0, TOP).map(() => true));
  return gain(answer.slice(0, TOP).map(id => relevant.includes(id))) / best;
}
