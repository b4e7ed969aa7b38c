// One corpus in one store, or spread over many: the answer is the same. Properties over random corpora, against the
// whole corpus in one store, and against a plain BM25 that reads every record.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addStatistics, fuse, type Memory, mergeCandidates, windowOf } from '../../src/memory/index.ts';
import type { Candidate, MemoryRecord } from '../../src/protocol/index.ts';
import { hashingEmbedder } from '../support/hashing-embedder.ts';
import { Folder } from './folder.ts';

const NOW = new Date('2026-01-31T12:00:00Z');
// Few words, some in nearly every record and some in few, so that records tie and a query is pruned.
const FREQUENT = ['a', 'the', 'of'];
const MIDDLE = ['node', 'lease', 'lane', 'fence', 'deploy', 'deployed'];
const RARE = ['cat', 'zebra'];
const word = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...FREQUENT) },
  { weight: 3, arbitrary: fc.constantFrom(...MIDDLE) },
  { weight: 1, arbitrary: fc.constantFrom(...RARE) },
);
const content = fc.array(word, { minLength: 1, maxLength: 8, size: 'max' }).map(words => words.join(' '));
// As many as it takes for some not to be among the candidates.
const corpusOf = (minLength: number) =>
  fc.array(record, { minLength, maxLength: 2 * minLength, size: 'max' });
const record = fc.record({
  content,
  importance: fc.constantFrom(0, 0.5, 1),
  pinned: fc.boolean(),
  ageDays: fc.integer({ min: 0, max: 100 }),
  tags: fc.subarray(['x', 'y']),
});
const question = fc.record({
  query: fc
    .uniqueArray(fc.constantFrom(...FREQUENT, ...MIDDLE, ...RARE), {
      minLength: 1,
      maxLength: 5,
      size: 'max',
    })
    .map(words => words.join(' ')),
  kind: fc.constantFrom('recall' as const, 'search' as const),
  limit: fc.constantFrom(1, 10, 60),
  tags: fc.constantFrom<string[] | undefined>(undefined, ['x']),
});

describe('a question to many stores', () => {
  test.each([
    ['by words', false],
    ['by words and vectors', true],
  ])('gives the same answer over 1, 3 and 10 stores, %s', async (_, isHybrid) => {
    await fc.assert(
      fc.asyncProperty(
        corpusOf(120),
        fc.array(question, { minLength: 4, maxLength: 4 }),
        fc.array(fc.nat(9), { minLength: 240, maxLength: 240 }),
        async (corpus, questions, places) => {
          await using folder = new Folder();
          const records = corpus.map(toRecord);
          const options = {
            visibility: 'shared' as const,
            now: () => NOW,
            ...(isHybrid ? { embedder: hashingEmbedder(64) } : {}),
          };
          const spread = async (stores: number) => {
            const memories = [];
            for (let i = 0; i < stores; i++) {
              const memory = await folder.open(`s${stores}-${i}`, options);
              const own = records.filter((_, n) => (places[n] ?? 0) % stores === i);
              await memory.import(own.map(one => JSON.stringify(one)));
              await memory.embedded();
              memories.push(memory);
            }
            return memories;
          };
          const [one, three, ten] = [await spread(1), await spread(3), await spread(10)];
          for (const { kind, ...asked } of questions) {
            const alone = await one[0]?.[kind]({ as: 'bob', ...asked });
            const expected = alone?.items.map(({ id, score }) => ({ id, score }));
            for (const stores of [one, three, ten])
              expect(await askAll(stores, kind, asked)).toEqual(expected);
            if (isHybrid && kind === 'recall') expect(alone?.method).toBe('hybrid');
          }
        },
      ),
      { numRuns: 15, endOnFailure: true },
    );
  });

  test('ranks by words as plain BM25 over every record does', async () => {
    await fc.assert(
      fc.asyncProperty(
        corpusOf(200),
        fc.array(question, { minLength: 4, maxLength: 4 }),
        async (corpus, questions) => {
          await using folder = new Folder();
          const memory = await folder.open('alice');
          const records = corpus.map(toRecord);
          await memory.import(records.map(one => JSON.stringify(one)));
          for (const { kind, query, limit } of questions) {
            const asked = { as: 'alice', kind, query };
            const statistics = await memory.statistics(asked);
            const { candidates } = await memory.candidates({ ...asked, limit, statistics });
            const scores = candidates.map(candidate => [candidate.id, candidate.keywordScore]);
            expect(new Map(scores as [string, number][])).toEqual(
              plainBm25(records, query, kind === 'search', windowOf(limit)),
            );
          }
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
  });
});

describe('merging candidates', () => {
  const candidate = fc.record({
    id: fc.integer({ min: 0, max: 400 }).map(n => `r${n}`),
    agent: fc.constantFrom('a', 'b', 'c'),
    keywordScore: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    vectorScore: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    model: fc.constantFrom('m1', 'm2'),
    importance: fc.constantFrom(0, 0.5, 1),
    pinned: fc.boolean(),
    lastUsedAt: fc.constant(NOW.toISOString()),
  }) as fc.Arbitrary<Candidate>;

  test('by node first, in any grouping, changes nothing of the answer', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(candidate, { maxLength: 300, selector: ({ id, agent }) => `${id} ${agent}` }),
        fc.array(fc.nat(4), { minLength: 300, maxLength: 300 }),
        fc.constantFrom(1, 10, 100),
        (all, groups, limit) => {
          const merged = [0, 1, 2, 3, 4].flatMap(group =>
            mergeCandidates(
              all.filter((_, i) => groups[i] === group),
              limit,
            ),
          );
          expect(fuse(merged, { limit, now: NOW.getTime() }).best).toEqual(
            fuse(all, { limit, now: NOW.getTime() }).best,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('leaves at most two windows of one model, whatever came', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 400 }), fc.constantFrom(1, 100), (all, limit) => {
        const ofOneModel = all.map(one => ({ ...one, model: 'm1' }));
        expect(mergeCandidates(ofOneModel, limit).length).toBeLessThanOrEqual(2 * windowOf(limit));
      }),
    );
  });
});

async function askAll(
  stores: readonly Memory[],
  kind: 'recall' | 'search',
  asked: { query: string; limit: number; tags: string[] | undefined },
): Promise<{ id: string; score: number }[]> {
  const as = 'bob';
  const parts = await Promise.all(stores.map(store => store.statistics({ as, kind, query: asked.query })));
  const statistics = addStatistics(parts);
  const replies = await Promise.all(
    stores.map(store => store.candidates({ as, kind, ...asked, statistics })),
  );
  const all = replies.flatMap(reply => reply.candidates);
  const { best } = fuse(all, { limit: asked.limit, now: NOW.getTime() });
  const contents = await Promise.all(
    stores.map(store => store.read({ as, ids: best.map(one => one.candidate.id) })),
  );
  const read = new Map(contents.flatMap(({ items }) => items.map(item => [item.id, item])));
  return best.map(({ candidate, score }) => ({ id: read.get(candidate.id)?.id ?? 'not read', score }));
}

function toRecord(
  {
    ageDays,
    ...fields
  }: { content: string; ageDays: number; importance: number; pinned: boolean; tags: string[] },
  index: number,
): MemoryRecord {
  const at = new Date(NOW.getTime() - ageDays * 86_400_000).toISOString();
  // Not in the order in which they come.
  const id = `r${(index * 7_919) % 1_009}`;
  return { ...fields, id, type: 'note', links: [], createdAt: at, lastUsedAt: at, version: 1 };
}

function plainBm25(
  records: readonly MemoryRecord[],
  query: string,
  all: boolean,
  window: number,
): Map<string, number> {
  const documents = records.map(({ id, content }) => ({ id, words: content.split(' ') }));
  const mean = documents.reduce((sum, { words }) => sum + words.length, 0) / documents.length;
  const terms = [...new Set(query.split(' '))].map(term => {
    const frequency = documents.filter(({ words }) => words.includes(term)).length;
    const weight = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
    return { term, most: Math.round(weight * 2.2 * 1e6) };
  });
  return new Map(
    documents
      .filter(({ words }) =>
        all
          ? terms.every(({ term }) => words.includes(term))
          : terms.some(({ term }) => words.includes(term)),
      )
      .map(({ id, words }): [string, number] => {
        const units = terms.reduce((sum, { term, most }) => {
          const count = words.filter(one => one === term).length;
          return (
            sum + Math.trunc((most * count) / (count + 1.2 * 0.25 + ((1.2 * 0.75) / mean) * words.length))
          );
        }, 0);
        return [id, units / 1e6];
      })
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .slice(0, window),
  );
}
