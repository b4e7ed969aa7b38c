// Who sees what: over random agents, groups, visibilities, records and questions, against a plain model. What may not be
// read must not show in an item, a count, a statistic, a score or the place of another record.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Memory, openMemory } from '../../src/memory/index.ts';
import { OrchError, VISIBILITIES, type Visibility } from '../../src/protocol/index.ts';
import { hashingEmbedder } from '../support/hashing-embedder.ts';
import { Folder } from './folder.ts';

interface Said {
  content: string;
  visibility: Visibility | undefined;
  link: string;
  type: string;
}

const WORDS = ['key', 'secret', 'plan', 'deploy', 'cat'];
const said = fc.record({
  content: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 6 }).map(words => words.join(' ')),
  visibility: fc.option(fc.constantFrom(...VISIBILITIES), { nil: undefined }),
  link: fc.constantFrom('e1', 'e2', 'e3'),
  type: fc.constantFrom('note', 'fact'),
});
const world = fc.record({
  visibility: fc.constantFrom(...VISIBILITIES),
  group: fc.option(fc.constantFrom('ops', 'dev'), { nil: undefined }),
  askerGroup: fc.option(fc.constantFrom('ops', 'dev'), { nil: undefined }),
  asker: fc.constantFrom('alice', 'bob'),
  records: fc.uniqueArray(said, { maxLength: 30, selector: one => JSON.stringify(one) }),
  query: fc.constantFrom(...WORDS, 'secret plan', 'k*', 'nothing'),
});

// Written apart from the code that it judges: a list of who may, in words.
function mayRead(
  {
    visibility,
    group,
    askerGroup,
    asker,
  }: { visibility: Visibility; group?: string | undefined; askerGroup?: string | undefined; asker: string },
  own: Visibility | undefined,
): boolean {
  if (asker === 'alice') return true;
  const isMate = group !== undefined && group === askerGroup;
  const allows = (how: Visibility) => how === 'shared' || (how === 'group' && isMate);
  return allows(visibility) && (own === undefined || allows(own));
}

describe('an answer', () => {
  test('is that of a memory in which there is nothing but what the asker may read', async () => {
    await using folder = new Folder();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(world, async ({ records, query, ...who }) => {
        run++;
        const groups: Record<string, string | undefined> = { alice: who.group, bob: who.askerGroup };
        const open = (name: string, visibility: Visibility) =>
          openMemory({
            dir: folder.path(`${name}-${run}`),
            agent: 'alice',
            visibility,
            ...(who.group === undefined ? {} : { group: who.group }),
            groupOf: agent => groups[agent],
            embedder: hashingEmbedder(32),
            // Within the hour of their last use, so that nothing is marked as used again.
            now: () => new Date('2026-01-10T00:30:00Z'),
          });
        await using real = await open('real', who.visibility);
        await using model = await open('model', 'shared');
        const lines = records.map((one, i) => ({ one, line: lineOf(one, i) }));
        await real.import(lines.map(({ line }) => JSON.stringify(line)));
        await model.import(
          lines
            .filter(({ one }) => mayRead(who, one.visibility))
            .map(({ line: { visibility: _, ...line } }) => JSON.stringify(line)),
        );
        await Promise.all([real.embedded(), model.embedded()]);
        expect(await everythingOf(real, who.asker, query, records.length)).toEqual(
          await everythingOf(model, who.asker, query, records.length),
        );
      }),
      { numRuns: 150, endOnFailure: true },
    );
  });

  test('of an isolated agent says to others what an empty memory says, whatever its records allow', async () => {
    await using folder = new Folder();
    const alice = await folder.open('alice', { visibility: 'isolated', group: 'ops', groupOf: () => 'ops' });
    const { id } = await alice.remember({
      as: 'alice',
      content: 'the secret plan',
      visibility: 'shared',
      links: ['e1'],
    });
    const empty = { documents: 0, length: 0, frequencies: { secret: 0 } };
    expect((await alice.recall({ as: 'bob', query: 'secret' })).items).toEqual([]);
    expect((await alice.search({ as: 'bob', query: 'secret' })).items).toEqual([]);
    expect(await alice.statistics({ as: 'bob', kind: 'recall', query: 'secret' })).toEqual(empty);
    expect(await alice.read({ as: 'bob', ids: [id ?? ''] })).toEqual({ items: [], omitted: 0 });
    expect(await alice.stats({ as: 'bob' })).toEqual({
      agent: 'alice',
      records: 0,
      types: {},
      entities: 0,
      embedded: 0,
    });
    await expect(alice.expand({ as: 'bob', entity: 'e1' })).rejects.toThrow('no entity "e1" in this memory');
    await expect(alice.expand({ as: 'bob', id: id ?? '' })).rejects.toThrow(
      `no record "${id}" in this memory`,
    );
  });

  test('does not change when another agent asks: reading writes nothing', async () => {
    await using folder = new Folder();
    let now = new Date('2026-01-01T00:00:00Z');
    const alice = await folder.open('alice', { visibility: 'shared', now: () => now });
    await alice.remember({ as: 'alice', content: 'the plan' });
    const usedAt = async () => (await alice.recall({ as: 'bob', query: 'plan' })).items[0]?.lastUsedAt;
    now = new Date('2026-01-02T00:00:00Z');
    await usedAt();
    expect(await usedAt()).toBe('2026-01-01T00:00:00.000Z');
    await alice.recall({ as: 'alice', query: 'plan' });
    // Marked behind the answer; what is written next is written after it.
    await alice.remember({ as: 'alice', content: 'another' });
    expect(await usedAt()).toBe('2026-01-02T00:00:00.000Z');
  });
});

test('only the agent itself writes', async () => {
  await using folder = new Folder();
  const alice = await folder.open('alice', { visibility: 'shared', group: 'ops', groupOf: () => 'ops' });
  const denied = { code: 'denied', message: 'agent bob may not write to the memory of agent alice' };
  await expect(alice.remember({ as: 'bob', content: 'x' })).rejects.toMatchObject(denied);
  await expect(alice.forget({ as: 'bob', id: 'x' })).rejects.toMatchObject(denied);
});

const lineOf = ({ content, visibility, link, type }: Said, index: number) => ({
  id: `r${index}`,
  content,
  type,
  links: [link],
  ...(visibility === undefined ? {} : { visibility }),
  createdAt: `2026-01-0${1 + (index % 9)}T00:00:00.000Z`,
  lastUsedAt: '2026-01-10T00:00:00.000Z',
  version: 1,
});

// Every answer that there is, without times and without the visibility that the model does not have.
async function everythingOf(memory: Memory, as: string, query: string, records: number): Promise<unknown> {
  const statistics = await memory.statistics({ as, kind: 'search', query });
  const ids = Array.from({ length: records }, (_, i) => `r${i}`);
  const answers = {
    recall: await memory.recall({ as, query, limit: 100 }),
    search: await memory.search({ as, query, limit: 100 }),
    excluded: await memory.search({ as, query: `${query} -cat "secret"` }),
    statistics,
    candidates: (await memory.candidates({ as, kind: 'recall', query, statistics })).candidates,
    stats: { ...(await memory.stats({ as })), fileBytes: undefined, model: undefined },
    read: await memory.read({ as, ids: ids.slice(0, 100) }),
    entity: await memory.expand({ as, entity: 'e1' }).catch(said),
    record: await memory.expand({ as, id: 'r0' }).catch(said),
  };
  return JSON.parse(
    JSON.stringify(answers, (key, value: unknown) =>
      ['timings', 'visibility', 'method'].includes(key) ? undefined : value,
    ),
  );

  function said(error: unknown): string {
    return error instanceof OrchError ? error.message : String(error);
  }
}
