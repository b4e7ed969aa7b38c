import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forEachObject, LINE_BYTES_MAX, readObjects } from '../../src/cli/ndjson.ts';
import { OrchError } from '../../src/protocol/index.ts';

/** A source that yields these bytes in chunks of this size. */
const sourceOf = (text: string | Buffer, chunkBytes = 64 * 1024) => {
  const bytes = Buffer.from(text);
  async function* chunks() {
    for (let from = 0; from < bytes.length; from += chunkBytes) yield bytes.subarray(from, from + chunkBytes);
  }
  return { name: 'in.ndjson', chunks: chunks() };
};

async function all(text: string | Buffer, chunkBytes?: number): Promise<[string, object][]> {
  const found: [string, object][] = [];
  for await (const { value, at } of readObjects(sourceOf(text, chunkBytes))) found.push([at, value]);
  return found;
}

describe('lines of JSON', () => {
  const line = fc.oneof(
    fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }),
    fc.constantFrom('', '   ', '\t'),
  );

  test('are read with their numbers, wherever chunks end and whatever ends a line', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 40 }),
        async (lines, end, hasMark, endsWithNewline, chunkBytes) => {
          const texts = lines.map(one => (typeof one === 'string' ? one : JSON.stringify(one)));
          const text = `${hasMark ? '\ufeff' : ''}${texts.join(end)}${endsWithNewline ? end : ''}`;
          expect(await all(text, chunkBytes)).toEqual(
            lines.flatMap((one, i) =>
              typeof one === 'string' ? [] : [[`in.ndjson:${i + 1}`, JSON.parse(JSON.stringify(one))]],
            ),
          );
        },
      ),
    );
  });

  test.each([
    ['{"a":1}\n\n{"a":', 'in.ndjson:3: not valid JSON: '],
    ['{"a":1}\n[1]', 'in.ndjson:2: not a JSON object'],
    ['null', 'in.ndjson:1: not a JSON object'],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'in.ndjson:1: not valid UTF-8'],
  ])('are refused by their number: %j', async (text, message) => {
    const error = await all(text).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(message) });
  });

  test('are refused when they are too long, before their end has come', async () => {
    let sent = 0;
    async function* endless() {
      yield Buffer.from('{"a":1}\n');
      for (;;) {
        const chunk = Buffer.alloc(100_000, 'x');
        sent += chunk.length;
        yield chunk;
      }
    }
    const reading = (async () => {
      for await (const _ of readObjects({ name: 'in.ndjson', chunks: endless() }));
    })();
    await expect(reading).rejects.toMatchObject({
      code: 'too_large',
      message: `in.ndjson:2: the line is longer than ${LINE_BYTES_MAX} bytes`,
    });
    expect(sent).toBeLessThan(LINE_BYTES_MAX + 200_000);
    const longest = JSON.stringify({ a: 'x'.repeat(LINE_BYTES_MAX - 8) });
    expect(longest).toHaveLength(LINE_BYTES_MAX);
    expect(await all(`${longest}\n${longest}`)).toHaveLength(2);
  });
});

describe('working on lines', () => {
  const numbered = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n })).join('\n');

  test('goes on with as many at once as are allowed, and no more', async () => {
    let [now, most, done] = [0, 0, 0];
    await forEachObject(
      sourceOf(numbered),
      async () => {
        most = Math.max(most, ++now);
        await turn();
        now--;
        done++;
      },
      4,
    );
    expect([most, done]).toEqual([4, 50]);
  });

  test('stops at the first failure, names its line, and waits for what is in flight', async () => {
    const [begun, ended]: [number[], number[]] = [[], []];
    const work = forEachObject(
      sourceOf(numbered),
      async value => {
        const { n } = value as { n: number };
        begun.push(n);
        await turn();
        if (n === 10) throw new OrchError('conflict', 'taken', { advice: 'use another' });
        await turn();
        ended.push(n);
      },
      4,
    );
    await expect(work).rejects.toMatchObject({
      code: 'conflict',
      message: 'in.ndjson:11: taken',
      advice: 'use another',
    });
    expect(begun.length).toBeLessThan(20);
    expect(ended).toEqual(begun.filter(n => n !== 10));
  });
});
