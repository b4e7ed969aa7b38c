// Recall, search and expand: what they understand and what they bring.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Memory } from '../../src/memory/index.ts';
import { QUERY_LENGTH_MAX, type RecallInput, type RememberInput } from '../../src/protocol/index.ts';
import { Folder } from './folder.ts';

const as = 'alice';

async function remembering(folder: Folder, records: readonly Partial<RememberInput>[]): Promise<Memory> {
  const memory = await folder.open(as);
  for (const record of records) await memory.remember({ as, content: 'x', ...record });
  return memory;
}

const contentsOf = ({ items }: { items: { content: string }[] }) => items.map(item => item.content);

describe('recall', () => {
  test('takes any of the words, and rare words before frequent ones', async () => {
    await using folder = new Folder();
    const memory = await remembering(folder, [
      { content: 'the lease of a long-lived node' },
      { content: 'the node is up' },
      { content: 'the cat' },
      { content: 'a zebra' },
    ]);
    expect(contentsOf(await memory.recall({ as, query: 'the zebra node' }))).toEqual([
      'a zebra',
      'the node is up',
      'the lease of a long-lived node',
      'the cat',
    ]);
  });

  test('moves what is important, pinned or recently used up', async () => {
    await using folder = new Folder();
    let now = new Date('2026-01-01T00:00:00Z');
    const memory = await folder.open(as, { now: () => now });
    for (const [content, said] of [
      ['note one', {}],
      ['note two', { importance: 1 }],
      ['note three', { pinned: true, importance: 1 }],
    ] as const)
      await memory.remember({ as, content, ...said });
    now = new Date('2026-06-01T00:00:00Z');
    await memory.remember({ as, content: 'note four' });
    const found = contentsOf(await memory.recall({ as, query: 'note' }));
    expect(found[0]).toBe('note three');
    expect(found.indexOf('note two')).toBeLessThan(found.indexOf('note one'));
    expect(found.indexOf('note four')).toBeLessThan(found.indexOf('note one'));
  });

  test('keeps to type, tags, times, importance and pins', async () => {
    await using folder = new Folder();
    let now = new Date('2026-01-01T00:00:00Z');
    const memory = await folder.open(as, { now: () => now });
    await memory.remember({ as, content: 'note 1', type: 'fact', tags: ['a', 'b'], importance: 0.1 });
    now = new Date('2026-02-01T00:00:00Z');
    await memory.remember({ as, content: 'note 2', type: 'fact', tags: ['a'], importance: 0.9 });
    now = new Date('2026-03-01T00:00:00Z');
    await memory.remember({ as, content: 'note 3', tags: ['b'], pinned: true });
    const found = async (filter: Partial<RecallInput>) =>
      contentsOf(await memory.recall({ as, query: 'note', ...filter })).sort();
    expect(await found({})).toEqual(['note 1', 'note 2', 'note 3']);
    expect(await found({ type: 'fact' })).toEqual(['note 1', 'note 2']);
    expect(await found({ tags: ['a', 'b'] })).toEqual(['note 1']);
    expect(await found({ since: '2026-02-01T00:00:00Z' })).toEqual(['note 2', 'note 3']);
    expect(await found({ until: '2026-02-01T01:00:00+01:00' })).toEqual(['note 1']);
    expect(await found({ importanceMin: 0.5 })).toEqual(['note 2', 'note 3']);
    expect(await found({ pinned: true })).toEqual(['note 3']);
    expect(await found({ type: 'fact', importanceMin: 0.5, pinned: true })).toEqual([]);
  });

  test.each([
    ['a limit of 0', { limit: 0 }, /field limit: Too small/],
    ['a limit of 101', { limit: 101 }, /field limit: Too big/],
    ['no query', { query: '' }, /field query/],
    ['a huge query', { query: 'x'.repeat(QUERY_LENGTH_MAX + 1) }, /field query: Too big.*4096/],
    ['a query that is none', { query: ['x'] }, /field query: .*expected string/],
    ['a time that is none', { since: 'yesterday' }, /field since/],
  ])('refuses %s in one line', async (_, said, message) => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const refused = memory.recall({ as, query: 'x', ...said } as RecallInput);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ code: 'usage' });
  });

  test('knows words that every object has', async () => {
    await using folder = new Folder();
    const memory = await remembering(folder, [
      { content: 'a constructor' },
      { content: 'toString and hasOwnProperty' },
    ]);
    expect(contentsOf(await memory.recall({ as, query: 'constructor valueOf __proto__' }))).toEqual([
      'a constructor',
    ]);
    expect(contentsOf(await memory.search({ as, query: 'tostring' }))).toEqual([
      'toString and hasOwnProperty',
    ]);
  });
});

test('a flood of questions is answered as far as the bound goes, and the rest is refused at once', async () => {
  await using folder = new Folder();
  const memory = await remembering(folder, [{ content: 'needle' }]);
  const replies = await Promise.allSettled(
    Array.from({ length: 1_500 }, () => memory.recall({ as, query: 'needle' })),
  );
  const refused = replies.flatMap(reply => (reply.status === 'rejected' ? [reply.reason as unknown] : []));
  expect(replies.filter(reply => reply.status === 'fulfilled').length).toBeGreaterThanOrEqual(1_000);
  expect(refused.length).toBeGreaterThan(0);
  for (const reason of refused) expect(reason).toMatchObject({ code: 'unavailable' });
  expect((await memory.recall({ as, query: 'needle' })).items).toHaveLength(1);
});

describe('search', () => {
  const RECORDS = [
    { content: 'deploy the worker to production' },
    { content: 'the worker was deployed' },
    { content: 'production is down; who deploys?' },
    { content: 'the worker-pool is large' },
  ];

  test.each([
    [
      'the worker',
      ['deploy the worker to production', 'the worker was deployed', 'the worker-pool is large'],
    ],
    ['worker production', ['deploy the worker to production']],
    [
      'deploy*',
      ['deploy the worker to production', 'production is down; who deploys?', 'the worker was deployed'],
    ],
    ['"worker to production"', ['deploy the worker to production']],
    ['"production worker"', []],
    ['worker-pool', ['the worker-pool is large']],
    ['worker -pool', ['deploy the worker to production', 'the worker was deployed']],
    ['the -deploy*', ['the worker-pool is large']],
    ['-worker production', ['production is down; who deploys?']],
    ['worker nonsense', []],
  ])('understands %s', async (query, expected) => {
    await using folder = new Folder();
    const memory = await remembering(folder, RECORDS);
    expect(contentsOf(await memory.search({ as, query })).sort()).toEqual(expected);
  });

  test.each([
    '"',
    '""',
    '*',
    '-',
    '- -',
    '(',
    'a AND',
    'NEAR(a b)',
    'content:x',
    '{a b}: c',
    "'; DROP TABLE records; --",
    '") OR 1=1 --',
    'a" OR "b',
    '^a',
    'a + b',
    '\0',
    '?1 :x @y $z',
    '%',
    '\\',
    '-"',
    '"a*',
    '\ud800',
    'NOT',
    '""*',
  ])('finds nothing wrong with %j', async query => {
    await using folder = new Folder();
    const memory = await remembering(folder, RECORDS);
    await memory.search({ as, query });
    await memory.recall({ as, query });
    expect((await memory.stats({ as })).records).toBe(4);
  });

  test('takes any text as a query, and finds a record by any run of its own words', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
        async (content, query) => {
          const said = `${content} anchor`.replaceAll('\0', '');
          const { id = '' } = await memory.remember({ as, content: said });
          await memory.search({ as, query });
          await memory.recall({ as, query });
          const found = await memory.search({
            as,
            query: `${said.replace(/["*-]/g, ' ')} anchor`,
            limit: 100,
          });
          expect(found.items.map(item => item.id)).toContain(id);
          await memory.forget({ as, id });
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('expand', () => {
  test('goes from an entity to its records, and names what else they link to', async () => {
    await using folder = new Folder();
    const memory = await remembering(folder, [
      { content: 'orch uses nats', links: ['orch', 'nats'] },
      { content: 'orch is typescript', links: ['orch', 'typescript'], importance: 0.9 },
      { content: 'nats is a broker', links: ['nats'] },
    ]);
    const reply = await memory.expand({ as, entity: 'orch' });
    expect(contentsOf(reply)).toEqual(['orch is typescript', 'orch uses nats']);
    expect(reply.entities).toEqual([
      { name: 'orch', records: 2 },
      { name: 'nats', records: 1 },
      { name: 'typescript', records: 1 },
    ]);
    expect([reply.tokens, reply.omitted]).toEqual([9, 0]);
  });

  test('goes from a record to those that share an entity, that it names and that name it', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const { id: named = '' } = await memory.remember({ as, content: 'named' });
    const { id: start = '' } = await memory.remember({ as, content: 'start', links: ['e', 'f', named] });
    await memory.remember({ as, content: 'shares both', links: ['e', 'f'] });
    await memory.remember({ as, content: 'names it', links: [start] });
    await memory.remember({ as, content: 'elsewhere', links: ['g'] });
    const found = contentsOf(await memory.expand({ as, id: start }));
    expect(found.slice(0, 2)).toEqual(['start', 'shares both']);
    expect(found.slice(2).sort()).toEqual(['named', 'names it']);
  });

  test('stays within its budget of tokens and counts what had no room', async () => {
    await using folder = new Folder();
    const memory = await remembering(
      folder,
      Array.from({ length: 10 }, (_, i) => ({ content: `${i}${'x'.repeat(399)}`, links: ['e'] })),
    );
    const reply = await memory.expand({ as, entity: 'e', maxTokens: 350 });
    expect([reply.items.length, reply.tokens, reply.omitted]).toEqual([3, 300, 7]);
    const id = reply.items[0]?.id ?? '';
    const small = await memory.expand({ as, id, maxTokens: 10 });
    expect(small.items).toMatchObject([{ content: reply.items[0]?.content.slice(0, 40), truncated: true }]);
    expect([small.tokens, small.omitted]).toEqual([10, 9]);
  });

  test.each([
    ['an unknown record', { id: 'nope' }, 'no record "nope" in this memory', 'not_found'],
    ['an unknown entity', { entity: 'nope' }, 'no entity "nope" in this memory', 'not_found'],
    ['neither', {}, 'give either id or entity', 'usage'],
    ['both', { id: 'a', entity: 'b' }, 'give either id or entity', 'usage'],
    ['too large a budget', { entity: 'b', maxTokens: 10_001 }, 'field maxTokens: Too big', 'usage'],
  ])('refuses %s', async (_, said, message, code) => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const refused = memory.expand({ as, ...said });
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ code });
  });
});
