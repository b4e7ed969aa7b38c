// What was acknowledged stays, what is damaged is said, and what is taken out comes in again as it was.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { Connection, sql } from '../../src/memory/database/index.ts';
import { openMemory } from '../../src/memory/index.ts';
import { closeStore, openStore } from '../../src/memory/schema.ts';
import { Folder } from './folder.ts';

const as = 'alice';
const at = '2026-01-01T00:00:00.000Z';
// Within the project, so that it finds the modules.
const CHILD = resolve('node_modules/.cache/orch-test/memory-writer.js');

beforeAll(async () => {
  mkdirSync(dirname(CHILD), { recursive: true });
  await build({
    entryPoints: {
      'memory-writer': resolve('test/memory/writer-process.ts'),
      'sqlite-thread': resolve('src/memory/database/thread.ts'),
    },
    outdir: dirname(CHILD),
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  });
});

describe('a memory whose process is killed', () => {
  test('has all that was acknowledged, and nothing half, when it is opened again', async () => {
    await using folder = new Folder();
    const acknowledged = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [CHILD, folder.dir, String(round)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let seen = 0;
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const id of lines) acknowledged.add(id);
        seen += lines.length;
        // Writes are on their way all the time.
        if (seen > 30 + 20 * round) child.kill('SIGKILL');
      });
      expect(await ended(child)).toBe('SIGKILL');
    }
    const memory = await folder.open(as);
    const lines: { id: string; content: string }[] = [];
    for await (const line of memory.export()) lines.push(JSON.parse(line) as { id: string; content: string });
    const there = new Set(lines.map(({ id }) => id));
    expect(acknowledged.size).toBeGreaterThan(200);
    expect([...acknowledged].filter(id => !there.has(id))).toEqual([]);
    const statistics = await memory.statistics({ as, kind: 'recall', query: 'kept' });
    expect(statistics).toEqual({
      documents: lines.length,
      length: lines.reduce((sum, { content }) => sum + content.split(' ').length, 0),
      frequencies: { kept: lines.length },
    });
  });
});

describe('a file that cannot be used', () => {
  const damages: [string, (file: string) => void | Promise<void>][] = [
    ['is no database', file => writeFileSync(file, 'hello '.repeat(2_000))],
    [
      'is damaged in its midst',
      file => {
        const bytes = readFileSync(file);
        bytes.fill(0x5a, 4_096 * 2, 4_096 * 12);
        writeFileSync(file, bytes);
      },
    ],
    ['is cut short', file => writeFileSync(file, readFileSync(file).subarray(0, 4_096 * 5))],
  ];

  test.each(damages)(
    'because it %s is refused with its name and the way back; other agents go on',
    async (_, damage) => {
      await using folder = new Folder();
      const memory = await openMemory({ dir: folder.dir, agent: as });
      await memory.import(
        Array.from({ length: 300 }, (_, i) => lineOf(`r${i}`, `record ${i} with some words`)),
      );
      await memory.close();
      const bob = await folder.open('bob');
      await damage(folder.path('alice.db'));
      const before = readFileSync(folder.path('alice.db'));
      await expect(folder.open(as)).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringContaining(`memory of agent alice: ${folder.path('alice.db')} is damaged`),
        advice: expect.stringMatching(/move .* away, put a backup in its place or import an export/),
      });
      expect(readFileSync(folder.path('alice.db')).equals(before)).toBe(true);
      await bob.remember({ as: 'bob', content: 'still here' });
      expect((await bob.recall({ as: 'bob', query: 'here' })).items).toHaveLength(1);
    },
  );

  test('because it is of a newer orch, is another agent’s, or is a folder, is refused by name', async () => {
    await using folder = new Folder();
    await (await openMemory({ dir: folder.dir, agent: as })).close();
    const connection = await Connection.open(folder.path('alice.db'));
    await connection.exec('PRAGMA user_version = 99');
    await connection.close();
    await expect(folder.open(as)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('has version 99'),
    });
    await (await openMemory({ dir: folder.dir, agent: 'bob' })).close();
    writeFileSync(folder.path('carol.db'), readFileSync(folder.path('bob.db')));
    await expect(folder.open('carol')).rejects.toThrow(/carol\.db is that of agent bob/);
    mkdirSync(folder.path('dave.db'));
    await expect(folder.open('dave')).rejects.toThrow(/dave\.db/);
    await expect(folder.open('../eve')).rejects.toThrow(/agent "\.\.\/eve" is not allowed/);
  });

  test('is readable to its owner alone when it can be used', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await memory.remember({ as, content: 'x' });
    await memory.backup(folder.path('copy.db'));
    for (const name of readdirSync(folder.dir))
      expect([name, statSync(folder.path(name)).mode & 0o077]).toEqual([name, 0]);
  });
});

test('every commit is synced, what is removed is overwritten, and the reader cannot write', async () => {
  await using folder = new Folder();
  const store = await openStore(folder.dir, as);
  const { writer, reader } = store;
  expect(await writer.all(sql`PRAGMA journal_mode`)).toEqual([{ journal_mode: 'wal' }]);
  // 2 is FULL.
  expect(await writer.all(sql`PRAGMA synchronous`)).toEqual([{ synchronous: 2 }]);
  expect(await writer.all(sql`PRAGMA secure_delete`)).toEqual([{ secure_delete: 1 }]);
  await expect(reader.all(sql`INSERT INTO meta VALUES ('a', 'b')`)).rejects.toThrow(/readonly/);
  await closeStore(store);
});

test('what was forgotten is in no byte of the file', async () => {
  await using folder = new Folder();
  const memory = await folder.open(as);
  await memory.import(Array.from({ length: 200 }, (_, i) => lineOf(`r${i}`, `record ${i}`)));
  const { id = '' } = await memory.remember({
    as,
    content: 'xylophone Quetzalcoatl',
    links: ['Zanzibar'],
    tags: ['Yggdrasil'],
  });
  await memory.forget({ as, id });
  await memory.close();
  const text = readFileSync(memory.file, 'latin1').toLowerCase();
  expect(text).toContain('record 199');
  for (const word of ['xylophone', 'quetzalcoatl', 'zanzibar', 'yggdrasil']) expect(text).not.toContain(word);
});

describe('export and import', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .filter(text => !/[\0\p{Cs}]/u.test(text));
  const time = fc
    .date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
    .map(date => date.toISOString());
  const record = fc.record(
    {
      content: name,
      type: name,
      tags: fc.uniqueArray(name, { maxLength: 4 }),
      links: fc.uniqueArray(name, { maxLength: 4 }),
      importance: fc.double({ min: 0, max: 1, noNaN: true }),
      pinned: fc.boolean(),
      source: name,
      visibility: fc.constantFrom('isolated', 'group', 'shared'),
      createdAt: time,
      lastUsedAt: time,
      version: fc.integer({ min: 1, max: 1_000_000 }),
      mood: fc.jsonValue({ maxDepth: 2 }),
    },
    { requiredKeys: ['content', 'createdAt', 'lastUsedAt', 'version'] },
  );

  test('bring back every record as it was, byte for byte', async () => {
    await using folder = new Folder();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 30 }), async records => {
        run++;
        const first = await folder.open(`a${run}`);
        await first.import(
          records.map((one, i) =>
            JSON.stringify({ id: `r${i}`, ...one, ...(i % 3 ? {} : { key: `k${i}` }) }),
          ),
        );
        const exported = await all(first.export());
        const second = await folder.open(`b${run}`);
        expect(await second.import(exported)).toEqual({ added: records.length, replaced: 0, kept: 0 });
        expect(await all(second.export())).toEqual(exported);
        for (const [i, line] of exported.entries())
          expect(JSON.parse(line)).toMatchObject({ id: `r${i}`, ...JSON.parse(JSON.stringify(records[i])) });
      }),
      { numRuns: 40 },
    );
  });

  test('run again bring only what is newer', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await memory.import([lineOf('a', 'one'), lineOf('b', 'two', 3)]);
    expect(
      await memory.import([lineOf('a', 'ONE', 2), lineOf('b', 'TWO', 2), '', lineOf('c', 'three')]),
    ).toEqual({
      added: 1,
      replaced: 1,
      kept: 1,
    });
    const { items } = await memory.read({ as, ids: ['a', 'b', 'c'] });
    expect(items.map(item => item.content)).toEqual(['ONE', 'two', 'three']);
  });

  test.each([
    ['that is not JSON', '{"id":', /^line 2 is not JSON: /],
    ['that is no record', '{"id":"x"}', /^line 2: field content/],
    ['with a key that is taken', lineOf('x', 'y', 1, 'k'), /^record x: key "k" is that of record a$/],
  ])('refuse a line %s, by its number or its id', async (_, line, message) => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await expect(memory.import([lineOf('a', 'b', 1, 'k'), line])).rejects.toThrow(message);
  });

  test('copy the store while it is written to, into a file that opens', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as);
    await memory.import(Array.from({ length: 500 }, (_, i) => lineOf(`r${i}`, `record ${i}`)));
    const copies = folder.path('copies');
    mkdirSync(copies);
    const writes = Promise.all(
      Array.from({ length: 50 }, (_, i) => memory.remember({ as, content: `later ${i}` })),
    );
    await memory.backup(join(copies, 'alice.db'));
    await writes;
    await expect(memory.backup(join(copies, 'alice.db'))).rejects.toMatchObject({ code: 'conflict' });
    await using copy = await openMemory({ dir: copies, agent: as });
    expect((await copy.stats({ as })).records).toBeGreaterThanOrEqual(500);
    expect((await copy.recall({ as, query: '499' })).items).toHaveLength(1);
  });
});

test('a write that comes while another process holds the file waits for it', async () => {
  await using folder = new Folder();
  const memory = await folder.open(as);
  const other = await Connection.open(memory.file);
  await other.exec('BEGIN IMMEDIATE');
  const written = memory.remember({ as, content: 'patient' });
  await other.exec('COMMIT');
  expect((await written).outcome).toBe('created');
  await other.close();
});

test('a closed memory says so, and can be closed again', async () => {
  await using folder = new Folder();
  const memory = await folder.open(as);
  const last = memory.remember({ as, content: 'last' });
  await memory.close();
  expect((await last).outcome).toBe('created');
  await memory.close();
  await expect(memory.recall({ as, query: 'last' })).rejects.toThrow(/the memory is closed/);
  await expect(memory.remember({ as, content: 'late' })).rejects.toThrow(/the memory is closed/);
});

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const list = [];
  for await (const line of lines) list.push(line);
  return list;
}

const ended = async (child: ChildProcess): Promise<unknown> => (await once(child, 'close'))[1];

function lineOf(id: string, content: string, version = 1, key?: string): string {
  return JSON.stringify({
    id,
    content,
    createdAt: at,
    lastUsedAt: at,
    version,
    ...(key === undefined ? {} : { key }),
  });
}
