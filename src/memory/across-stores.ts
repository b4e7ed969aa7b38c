// Queries several stores as if they were one: what a node answers for all of its agents. The steps are those of
// `ranking.ts`. Each store decides which records an asker may read. A store that fails is left out and named.
import {
  type CandidatesReply,
  type CandidatesRequest,
  type CorpusStatistics,
  type MemoryItem,
  messageOf,
  type RecallReply,
  type RecallRequest,
  type StatisticsRequest,
  type Timings,
} from '../protocol/index.ts';
import { fitted } from './answer.ts';
import type { Kind } from './candidates.ts';
import type { Memory } from './memory.ts';
import { addStatistics, type Fused, fuse, mergeCandidates } from './ranking.ts';
import { Stopwatch } from './stopwatch.ts';

/** A memory that could not answer. */
export interface Unread {
  agent: string;
  why: string;
}

/** First round: the sum of the statistics of all stores. */
export async function statisticsOf(
  memories: readonly Memory[],
  request: StatisticsRequest,
): Promise<{ statistics: CorpusStatistics; unread: Unread[] }> {
  const { answers, unread } = await askEach(memories, memory => memory.statistics(request));
  return { statistics: addStatistics(answers), unread };
}

/** Second round: the best candidates of all stores together. */
export async function candidatesFrom(
  memories: readonly Memory[],
  request: CandidatesRequest,
): Promise<CandidatesReply & { unread: Unread[] }> {
  const { answers, unread } = await askEach(memories, memory => memory.candidates(request));
  const candidates = mergeCandidates(
    answers.flatMap(answer => answer.candidates),
    request.limit,
  );
  const method = answers.some(answer => answer.method === 'hybrid') ? 'hybrid' : 'keyword';
  return { candidates, method, timings: slowestStages(answers.map(({ timings }) => timings)), unread };
}

/** All three rounds over these stores alone. */
export async function recallFrom(
  memories: readonly Memory[],
  kind: Kind,
  request: RecallRequest,
): Promise<RecallReply & { unread: Unread[] }> {
  const watch = new Stopwatch();
  const { as, query, limit } = request;
  const counted = await statisticsOf(memories, { as, kind, query });
  const found = await candidatesFrom(memories, { ...request, kind, statistics: counted.statistics });
  const { best, method } = fuse(found.candidates, { limit, now: Date.now() });
  const items = await watch.time('readMs', readBest(memories, as, best));
  const { readMs, totalMs } = watch.timings;
  const timings = { ...found.timings, readMs, totalMs };
  return { ...fitted(items), method, timings, unread: [...counted.unread, ...found.unread] };
}

async function askEach<T>(
  memories: readonly Memory[],
  ask: (memory: Memory) => Promise<T>,
): Promise<{ answers: T[]; unread: Unread[] }> {
  const unread: Unread[] = [];
  const answers = await Promise.all(
    memories.map(memory =>
      ask(memory).catch((error: unknown) => {
        unread.push({ agent: memory.agent, why: messageOf(error) });
        return undefined;
      }),
    ),
  );
  return { answers: answers.filter(answer => answer !== undefined), unread };
}

/** For each stage the time of the slowest store: stores work in parallel. */
export function slowestStages(all: readonly Timings[]): Timings {
  const most = (stage: 'embedMs' | 'keywordMs' | 'vectorMs' | 'readMs' | 'totalMs') =>
    all.reduce((ms, timings) => Math.max(ms, timings[stage]), 0);
  return {
    embedMs: most('embedMs'),
    keywordMs: most('keywordMs'),
    vectorMs: most('vectorMs'),
    readMs: most('readMs'),
    totalMs: most('totalMs'),
  };
}

async function readBest(
  memories: readonly Memory[],
  as: string,
  best: readonly Fused[],
): Promise<MemoryItem[]> {
  const wanted = idsByAgent(best);
  const { answers } = await askEach(memories, async memory => {
    const ids = wanted.get(memory.agent);
    return ids ? (await memory.read({ as, ids })).items : [];
  });
  return inOrder(best, answers.flat());
}

/** The records to read of each agent. */
export function idsByAgent(best: readonly Fused[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { candidate } of best)
    ids.set(candidate.agent, [...(ids.get(candidate.agent) ?? []), candidate.id]);
  return ids;
}

/** The contents that were read, in the order of the best and with their scores; unread ones are left out. */
export function inOrder(best: readonly Fused[], read: readonly MemoryItem[]): MemoryItem[] {
  const contents = new Map(read.map(item => [`${item.agent}.${item.id}`, item]));
  return best.flatMap(({ candidate, score }) => {
    const item = contents.get(`${candidate.agent}.${candidate.id}`);
    return item ? [{ ...item, score }] : [];
  });
}
