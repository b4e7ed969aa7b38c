// Entries of any kind: written by fence and nonce, and read back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { encode, JOURNAL } from '../../src/protocol/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { newNote, noteHistory, noteSubject, notes } from '../support/notes.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

let ids = 0;
const newId = () => `n-${++ids}`;

async function written(id: string, text: string, fence: number, on = bus): Promise<number> {
  const appended = await notes.append(on, id, newNote(text), { fence });
  if (appended.kind !== 'written') throw new Error(`refused: ${text}`);
  return appended.seq;
}

const storedCount = async (id: string): Promise<number> => {
  let count = 0;
  for await (const _ of bus.streams.range(JOURNAL, { filter: noteHistory(id) })) count++;
  return count;
};

describe('an entry', () => {
  test('is written when its fence stands, and is then the last one', async () => {
    const id = newId();
    expect(await notes.last(bus, id)).toBeUndefined();
    const first = await written(id, 'one', 0);
    const second = await written(id, 'two', first);
    expect(await notes.last(bus, id, 'leader')).toMatchObject({ text: 'two', seq: second });
    expect(await notes.last(bus, id)).toMatchObject({ text: 'two', seq: second });
    expect((await notes.history(bus, id)).map(({ text, seq }) => [text, seq])).toEqual([
      ['one', first],
      ['two', second],
    ]);
    expect(await notes.history(bus, newId())).toEqual([]);
  });

  test('whose fence fell is refused, with the entry that came first', async () => {
    const id = newId();
    const seq = await written(id, 'first', 0);
    const late = await notes.append(bus, id, newNote('late'), { fence: 0 });
    expect(late).toMatchObject({ kind: 'conflict', last: { text: 'first', seq } });
    expect(await storedCount(id)).toBe(1);
  });

  test('of twenty writers at the same fence exactly one is written', async () => {
    const id = newId();
    const writers = await Promise.all(Array.from({ length: 4 }, () => nats.bus()));
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        notes.append(writers[n % 4] ?? bus, id, newNote(`writer ${n}`), { fence: 0 }),
      ),
    );
    const winners = results.flatMap(result => (result.kind === 'written' ? [result.seq] : []));
    const told = results.flatMap(result => (result.kind === 'conflict' ? [result.last?.seq] : []));
    expect(winners).toHaveLength(1);
    expect(told).toEqual(Array.from({ length: 19 }, () => winners[0]));
    expect(await storedCount(id)).toBe(1);
  });

  test('that decides nothing is no fence, and is the last one only where nothing is decided', async () => {
    const id = newId();
    await bus.streams.write(`${noteSubject(id, 'draft', 'tester')}.v1`, encode(newNote('draft')));
    expect(await notes.last(bus, id, 'leader')).toMatchObject({ text: 'draft' });
    const seq = await written(id, 'decided', 0);
    expect(await notes.last(bus, id, 'leader')).toMatchObject({ text: 'decided', seq });
    expect((await notes.history(bus, id)).map(({ text }) => text)).toEqual(['draft', 'decided']);
  });

  test('that is true in any case is written behind whatever others write meanwhile', async () => {
    const id = newId();
    const writers = await Promise.all([bus, nats.bus(), nats.bus()]);
    const seqs = await Promise.all(writers.map((on, n) => notes.add(on, id, newNote(`news ${n}`))));
    expect(new Set(seqs).size).toBe(3);
    expect((await notes.history(bus, id)).map(({ text }) => text).sort()).toEqual([
      'news 0',
      'news 1',
      'news 2',
    ]);
  });
});

describe('a resent entry', () => {
  test('with the nonce of its first copy is the first copy', async () => {
    const id = newId();
    const note = newNote('once');
    const first = await notes.append(bus, id, note, { fence: 0 });
    expect(await notes.append(bus, id, note, { fence: 0 })).toEqual(first);
    expect(await notes.append(bus, id, { ...note, nonce: 'other' }, { fence: 0 })).toMatchObject({
      kind: 'conflict',
    });
    expect(await storedCount(id)).toBe(1);
  });

  test.each([
    ['append', (on: Bus, id: string) => notes.append(on, id, newNote('once'), { fence: 0 })],
    [
      'add',
      async (on: Bus, id: string) => ({ kind: 'written', seq: await notes.add(on, id, newNote('once')) }),
    ],
  ] as const)(
    'whose first acknowledgement was lost with the connection is stored once (%s)',
    async (_, write) => {
      await using link = await Link.to(nats.url);
      const on = await nats.bus({ servers: [link.url], timeoutMs: 20_000 });
      const id = newId();
      // The reads that come before the write have been answered; its own acknowledgement will not be.
      const answered = on.streams.write.bind(on.streams);
      on.streams.write = (...args) => {
        on.streams.write = answered;
        link.cut('client');
        return answered(...args);
      };
      const writing = write(on, id);
      const first = await until('the first copy to be stored', () => notes.last(bus, id, 'leader'));
      link.reset();
      expect(await writing).toEqual({ kind: 'written', seq: first.seq });
      expect(await storedCount(id)).toBe(1);
      await on.close();
    },
  );
});

describe('a line of another client', () => {
  test('that is not an entry is left out of the history, and is no fence that can be passed over', async () => {
    const id = newId();
    const seq = await written(id, 'good', 0);
    await bus.streams.write(noteSubject(id, 'noted', 'stranger'), Buffer.from('{junk'));
    expect((await notes.history(bus, id)).map(({ text }) => text)).toEqual(['good']);
    await expect(notes.last(bus, id, 'leader')).rejects.toMatchObject({ code: 'usage' });
    expect(await notes.append(bus, id, newNote('next'), { fence: seq })).toEqual({
      kind: 'conflict',
      last: undefined,
    });
  });

  test('that its schema refuses is named with the field', async () => {
    const id = newId();
    await bus.streams.write(noteSubject(id, 'noted', 'stranger'), encode(newNote('x'.repeat(101))));
    await expect(notes.last(bus, id, 'leader')).rejects.toThrow(/journal entry \d+: field text/);
  });

  test('with fields that are not known keeps them', async () => {
    const id = newId();
    await bus.streams.write(noteSubject(id, 'noted', 'newer'), encode(newNote('x', { colour: 'red' })));
    expect(await notes.last(bus, id, 'leader')).toMatchObject({ text: 'x', colour: 'red' });
  });
});
