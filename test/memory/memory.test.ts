// The memory of one agent: remembering, asking, forgetting.
import { describe, expect, test } from 'vitest';
import { MEMORY_ANSWER_BYTES_MAX, type RememberInput } from '../../src/protocol/index.ts';
import { Folder } from './folder.ts';

const alice = { as: 'alice' };

describe('remembering and recalling by words', () => {
  test('brings back what fits a query best, with its owner, score, method and times', async () => {
    await using folder = new Folder();
    const memory = await folder.open('alice', { node: 'node-a' });
    const { id, outcome, version, deduped } = await memory.remember({
      ...alice,
      content: 'The deploy script restarts the workers one by one',
      type: 'fact',
      tags: ['deploy'],
      links: ['repo:orch'],
      importance: 0.7,
      source: 'conversation 12',
      mood: 'sure',
    } as RememberInput);
    expect([outcome, version, deduped]).toEqual(['created', 1, false]);
    await memory.remember({ ...alice, content: 'Lunch is at noon' });
    const reply = await memory.recall({ ...alice, query: 'how are workers restarted on deploy?' });
    expect(reply.method).toBe('keyword');
    expect(reply.items).toEqual([
      {
        id,
        content: 'The deploy script restarts the workers one by one',
        type: 'fact',
        tags: ['deploy'],
        links: ['repo:orch'],
        importance: 0.7,
        pinned: false,
        source: 'conversation 12',
        mood: 'sure',
        createdAt: expect.any(String),
        lastUsedAt: expect.any(String),
        version: 1,
        score: expect.any(Number),
        agent: 'alice',
        node: 'node-a',
      },
    ]);
    expect(reply.timings).toEqual({
      embedMs: expect.any(Number),
      keywordMs: expect.any(Number),
      vectorMs: expect.any(Number),
      readMs: expect.any(Number),
      totalMs: expect.any(Number),
    });
  });

  test('finds words whatever their case, accents and script', async () => {
    await using folder = new Folder();
    const memory = await folder.open('alice');
    for (const content of ['Der Café-Besuch in Zürich', '分散システムの記憶', 'naïve STRASSE'])
      await memory.remember({ ...alice, content });
    const found = async (query: string) =>
      (await memory.recall({ ...alice, query })).items.map(item => item.content);
    expect(await found('cafe')).toEqual(['Der Café-Besuch in Zürich']);
    expect(await found('ZURICH')).toEqual(['Der Café-Besuch in Zürich']);
    expect(await found('記憶')).toEqual(['分散システムの記憶']);
    expect(await found('Naive')).toEqual(['naïve STRASSE']);
  });

  test('answers a query of signs alone with nothing', async () => {
    await using folder = new Folder();
    const memory = await folder.open('alice');
    await memory.remember({ ...alice, content: 'something' });
    expect((await memory.recall({ ...alice, query: '?!' })).items).toEqual([]);
  });

  test('keeps an answer within its bound, cuts what no longer fits and says so', async () => {
    await using folder = new Folder();
    const memory = await folder.open('alice');
    for (let i = 0; i < 40; i++)
      await memory.remember({ ...alice, content: `needle ${i} ${'"hay" '.repeat(2_600)}` });
    const reply = await memory.recall({ ...alice, query: 'needle', limit: 40 });
    expect(Buffer.byteLength(JSON.stringify(reply))).toBeLessThanOrEqual(MEMORY_ANSWER_BYTES_MAX);
    expect(reply.items[0]?.truncated).toBeUndefined();
    expect(reply.items.some(item => item.truncated)).toBe(true);
    expect(reply.items.length + reply.omitted).toBe(40);
  });
});
