// Remembering and forgetting: what each request does, and what it says that it did.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Connection, sql } from '../../src/memory/database/index.ts';
import { Writer } from '../../src/memory/writer.ts';
import { CONTENT_BYTES_MAX, EXTRA_BYTES_MAX, type RememberInput } from '../../src/protocol/index.ts';
import { Folder } from './folder.ts';

const as = 'alice';

describe('remember', () => {
  test('does not add the same content twice, and says so', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const first = await memory.remember({ as, content: 'the same' });
    expect(await memory.remember({ as, content: 'the same', importance: 0.9 })).toEqual({
      outcome: 'unchanged',
      id: first.id,
      version: 1,
      deduped: true,
    });
    expect((await memory.stats({ as })).records).toBe(1);
  });

  test('adds the same content again for another audience, so that none is widened', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as, { visibility: 'shared' });
    await memory.remember({ as, content: 'the plan' });
    const own = await memory.remember({ as, content: 'the plan', visibility: 'isolated' });
    expect(own.outcome).toBe('created');
    expect((await memory.stats({ as: 'bob' })).records).toBe(1);
  });

  test('changes the record with the same key, counts its version, and changes nothing when told the same again', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const first = await memory.remember({ as, key: 'plan', content: 'go left', tags: ['a'] });
    const second = await memory.remember({ as, key: 'plan', content: 'go right' });
    expect(second).toEqual({ outcome: 'updated', id: first.id, version: 2, deduped: false });
    expect(await memory.remember({ as, key: 'plan', content: 'go right' })).toMatchObject({
      outcome: 'unchanged',
      version: 2,
    });
    expect((await memory.recall({ as, query: 'left' })).items).toEqual([]);
    const [item] = (await memory.recall({ as, query: 'right' })).items;
    expect(item).toMatchObject({ id: first.id, key: 'plan', tags: [], version: 2 });
  });

  test('writes only over the version it was told, and gives a conflict as a value', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    expect(await memory.remember({ as, key: 'k', content: 'v1', ifVersion: 3 })).toEqual({
      outcome: 'conflict',
      version: 0,
      deduped: false,
    });
    const { id } = await memory.remember({ as, key: 'k', content: 'v1', ifVersion: 0 });
    expect((await memory.remember({ as, key: 'k', content: 'v2', ifVersion: 1 })).outcome).toBe('updated');
    expect(await memory.remember({ as, key: 'k', content: 'v3', ifVersion: 1 })).toEqual({
      outcome: 'conflict',
      id,
      version: 2,
      deduped: false,
    });
    // The answer to the second request was lost, and it is sent again.
    expect((await memory.remember({ as, key: 'k', content: 'v2', ifVersion: 1 })).outcome).toBe('unchanged');
  });

  test('changes a record by its id and keeps its key, its age and unknown fields that are said again', async () => {
    await using folder = new Folder();
    let now = new Date('2026-01-01T00:00:00Z');
    const memory = await folder.open(as, { now: () => now });
    const { id = '' } = await memory.remember({
      as,
      key: 'k',
      content: 'one',
      mood: 'calm',
    } as RememberInput);
    now = new Date('2026-01-02T00:00:00Z');
    const [read] = (await memory.read({ as, ids: [id] })).items;
    await memory.remember({ ...read, as, id, content: 'two' } as RememberInput);
    expect((await memory.read({ as, ids: [id] })).items).toEqual([
      { ...read, content: 'two', version: 2, lastUsedAt: '2026-01-02T00:00:00.000Z' },
    ]);
  });

  test('refuses an id that is not there and a key that is another record’s', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await expect(memory.remember({ as, id: 'nope', content: 'x' })).rejects.toMatchObject({
      code: 'not_found',
    });
    const { id: a = '' } = await memory.remember({ as, key: 'a', content: 'of a' });
    const { id: b = '' } = await memory.remember({ as, key: 'b', content: 'of b' });
    await expect(memory.remember({ as, id: b, key: 'a', content: 'mine' })).rejects.toMatchObject({
      code: 'conflict',
      message: `key "a" is that of record ${a}`,
    });
  });

  test('lets twenty write at once to one agent, and each write counts once', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const writer = async (n: number) => {
      const outcomes = [];
      for (let i = 0; i < 10; i++) {
        outcomes.push((await memory.remember({ as, content: `note ${i} of writer ${n}` })).outcome);
        // All on one record, each over the version that it saw.
        for (;;) {
          const [item] = (await memory.search({ as, query: 'counter' })).items;
          const count = Number(item?.content.split(' ')[1] ?? 0);
          const { outcome } = await memory.remember({
            as,
            key: 'counter',
            content: `counter ${count + 1}`,
            ifVersion: item?.version ?? 0,
          });
          if (outcome === 'created' || outcome === 'updated') break;
        }
      }
      return outcomes;
    };
    const outcomes = (await Promise.all(Array.from({ length: 20 }, (_, n) => writer(n)))).flat();
    expect(outcomes).toEqual(Array(200).fill('created'));
    expect((await memory.search({ as, query: 'counter' })).items[0]?.content).toBe('counter 200');
    expect((await memory.stats({ as })).records).toBe(201);
  });

  test('does not take a write along that fails beside others', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const results = await Promise.allSettled([
      memory.remember({ as, content: 'before' }),
      memory.remember({ as, id: 'nope', content: 'x' }),
      memory.remember({ as, content: 'after' }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await memory.stats({ as })).records).toBe(2);
  });
});

test('a write that fails half-way leaves nothing behind, and the others of its commit stay', async () => {
  await using folder = new Folder();
  const connection = await Connection.open(folder.path('plain.db'));
  await connection.exec('CREATE TABLE said (word TEXT)');
  const writer = new Writer(connection);
  const say = (word: string, isBroken = false) =>
    writer.run(async own => {
      await own.all(sql`INSERT INTO said VALUES (${word})`);
      if (isBroken) throw new Error('half-way');
    });
  const results = await Promise.allSettled([say('one'), say('two', true), say('three')]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await connection.all(sql`SELECT word FROM said`)).toEqual([{ word: 'one' }, { word: 'three' }]);
  await connection.close();
});

describe('forget', () => {
  test('removes a record by id, by key or by filter, and says which', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const { id = '' } = await memory.remember({ as, content: 'one' });
    const { id: keyed } = await memory.remember({ as, key: 'k', content: 'two' });
    const { id: old } = await memory.remember({ as, content: 'three', type: 'draft', tags: ['x', 'y'] });
    await memory.remember({ as, content: 'four', type: 'draft', tags: ['x'] });
    await memory.remember({ as, content: 'five', type: 'draft', tags: ['x', 'y'], pinned: true });
    expect(await memory.forget({ as, id })).toEqual({ outcome: 'forgotten', ids: [id], more: false });
    expect(await memory.forget({ as, id })).toEqual({ outcome: 'none', ids: [], more: false });
    expect(await memory.forget({ as, key: 'k', ifVersion: 7 })).toEqual({
      outcome: 'conflict',
      ids: [],
      more: false,
      version: 1,
    });
    expect((await memory.forget({ as, key: 'k', ifVersion: 1 })).ids).toEqual([keyed]);
    expect((await memory.forget({ as, filter: { type: 'draft', tags: ['y'] } })).ids).toEqual([old]);
    expect((await memory.stats({ as })).records).toBe(2);
    expect((await memory.forget({ as, filter: { tags: ['y'], pinned: true } })).outcome).toBe('forgotten');
  });

  test('goes through a large memory a thousand at a time', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const at = '2026-01-01T00:00:00.000Z';
    await memory.import(
      Array.from({ length: 1_500 }, (_, i) =>
        JSON.stringify({ id: `r${i}`, content: `record ${i}`, createdAt: at, lastUsedAt: at, version: 1 }),
      ),
    );
    const filter = { importanceMin: 0 };
    expect(await memory.forget({ as, filter })).toMatchObject({ outcome: 'forgotten', more: true });
    expect((await memory.forget({ as, filter })).ids).toHaveLength(500);
    expect((await memory.stats({ as })).records).toBe(0);
  });

  test('leaves no trace in the index: after any writes it is that of what is there', async () => {
    const step = fc.record({
      forget: fc.boolean(),
      key: fc.constantFrom('a', 'b', 'c'),
      content: fc
        .array(fc.constantFrom('x', 'y', 'z', 'w'), { minLength: 1, maxLength: 5 })
        .map(words => words.join(' ')),
      links: fc.subarray(['e', 'f']),
      visibility: fc.constantFrom(undefined, 'isolated' as const, 'group' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        await using folder = new Folder();
        const memory = await folder.open(as);
        const model = new Map<string, { content: string; links: string[] }>();
        for (const { forget, key, ...said } of steps) {
          if (forget) await memory.forget({ as, key });
          else await memory.remember({ as, key, ...said });
          if (forget) model.delete(key);
          else model.set(key, said);
        }
        const words = [...model.values()].map(({ content }) => content.split(' '));
        const holding = (term: string) => words.filter(list => list.includes(term)).length;
        expect(await memory.statistics({ as, kind: 'recall', query: 'x y z w' })).toEqual({
          documents: model.size,
          length: words.flat().length,
          frequencies: { x: holding('x'), y: holding('y'), z: holding('z'), w: holding('w') },
        });
        expect((await memory.stats({ as })).entities).toBe(
          new Set([...model.values()].flatMap(({ links }) => links)).size,
        );
      }),
      { numRuns: 40 },
    );
  });
});

describe('a request that is wrong', () => {
  test.each([
    [
      'no content',
      { as },
      'remember: field content: Invalid input: expected string, received undefined (given: nothing)',
    ],
    ['binary content', { as, content: 'a\0b' }, /field content: must be text, without NUL/],
    ['half a character', { as, content: 'a\ud800b' }, /field content: must be text, without NUL/],
    ['bytes', { as, content: Buffer.from('x') }, /field content: Invalid input: expected string/],
    [
      'too much',
      { as, content: 'é'.repeat(CONTENT_BYTES_MAX / 2 + 1) },
      /field content: at most 16384 bytes/,
    ],
    ['a true importance', { as, content: 'x', importance: true }, /field importance: .*expected number/],
    ['too much importance', { as, content: 'x', importance: 1.1 }, /field importance: Too big/],
    ['not a number', { as, content: 'x', importance: Number.NaN }, /field importance/],
    ['tags in a word', { as, content: 'x', tags: 'a,b' }, /field tags: .*expected array/],
    ['a tag that is none', { as, content: 'x', tags: [1] }, /field tags\.0/],
    [
      'a word for seen',
      { as, content: 'x', visibility: 'public' },
      /field visibility: .*"isolated"\|"group"\|"shared"/,
    ],
    ['no agent', { content: 'x' }, /field as/],
    ['an agent that is a path', { as: '../bob', content: 'x' }, /field as: must match/],
    [
      'unknown fields in bulk',
      { as, content: 'x', blob: 'x'.repeat(EXTRA_BYTES_MAX) },
      /at most 4096 are allowed/,
    ],
    ['nothing', undefined, /remember: .*expected object/],
  ])('is refused in one line: remember with %s', async (_, input, message) => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    const refused = memory.remember(input as unknown as RememberInput);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/usage|too_large/) });
    await expect(refused).rejects.not.toThrow('\n');
    expect((await memory.stats({ as })).records).toBe(0);
  });

  test.each([
    ['nothing named', { as }, /give one of id, key and filter/],
    ['two named', { as, id: 'a', key: 'b' }, /give one of id, key and filter/],
    [
      'a version of many',
      { as, filter: { type: 'x' }, ifVersion: 1 },
      /field ifVersion: a filter takes no ifVersion/,
    ],
    ['a filter of nothing', { as, filter: {} }, /field filter: a filter has at least one condition/],
    ['a filter that is misspelt', { as, filter: { tag: ['old'] } }, /no others than type, tags/],
  ])('is refused in one line: forget with %s', async (_, input, message) => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await expect(memory.forget(input)).rejects.toThrow(message);
  });
});
