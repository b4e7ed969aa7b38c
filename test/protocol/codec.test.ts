import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  decode,
  type Encoding,
  encode,
  encodingOf,
  JournalEntry,
  MSGPACK,
  OrchError,
  OutputChunk,
  parseAs,
  ResultReference,
  TaskMessage,
  TaskRecord,
} from '../../src/protocol/index.ts';

const AT = '2026-01-31T12:00:00.000Z';
const ENCODINGS: Encoding[] = ['json', 'msgpack'];
/** Any value of JSON. Neither encoding tells -0 from 0, and `__proto__` is no key that a client may count on. */
const jsonValue = fc
  .jsonValue({ maxDepth: 4 })
  .map(value => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as unknown);
/** Fields that no schema knows: none of theirs begins with an x. */
const unknownFields = fc.dictionary(fc.stringMatching(/^x[a-zA-Z0-9]{0,8}$/), jsonValue, { minKeys: 1 });

function errorOf(run: () => unknown): OrchError {
  try {
    run();
  } catch (error) {
    if (error instanceof OrchError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe.each(ENCODINGS)('%s', encoding => {
  test('every value comes back as it went', () => {
    fc.assert(
      fc.property(jsonValue, value => {
        expect(decode(encode(value, encoding), encoding)).toEqual(value);
      }),
    );
  });

  test('text of any script comes back as it went', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), text => {
        expect(decode(encode({ text }, encoding), encoding)).toEqual({ text });
      }),
    );
  });

  test('bytes that are cut off are an error with its cause', () => {
    const bytes = encode({ description: 'run the tests', labels: { a: 'b' } }, encoding);
    for (let length = 0; length < bytes.length; length++) {
      const error = errorOf(() => decode(bytes.slice(0, length), encoding));
      expect(error.code).toBe('usage');
      expect(error.message).toMatch(encoding === 'json' ? /^not valid JSON: ./ : /^not valid MessagePack: ./);
    }
  });

  test('a task keeps fields that orch does not know, at every depth', () => {
    fc.assert(
      fc.property(unknownFields, unknownFields, jsonValue, (fields, deep, input) => {
        const sent = { ...fields, description: 'x', backoff: { ...deep, baseMs: 5 }, input };
        const read = parseAs(TaskMessage, decode(encode(sent, encoding), encoding), 'task');
        const defaults = parseAs(TaskMessage, {}, 'task');
        expect(read).toEqual({ ...defaults, ...sent, backoff: { ...defaults.backoff, ...sent.backoff } });
      }),
    );
  });
});

describe('JSON', () => {
  test('bytes that are not UTF-8 are refused and not repaired', () => {
    expect(errorOf(() => decode(Uint8Array.of(0x22, 0xff, 0x22))).code).toBe('usage');
  });

  test('is what an ordinary parser reads', () => {
    expect(new TextDecoder().decode(encode({ a: 'ü', b: undefined }))).toBe('{"a":"ü"}');
  });
});

describe('MessagePack', () => {
  test('is written without the extensions of one library', () => {
    const bytes = encode({ a: [{ b: 1 }, { b: 2 }] }, 'msgpack');
    // The marks of ext 8 to 32 and fixext 1 to 16; no other byte of this value can have them.
    const extensions = [...bytes].filter(
      byte => (byte >= 0xc7 && byte <= 0xc9) || (byte >= 0xd4 && byte <= 0xd8),
    );
    expect(extensions).toEqual([]);
  });
});

describe('the content type', () => {
  test.each([
    [undefined, 'json'],
    ['', 'json'],
    ['application/json', 'json'],
    ['text/plain', 'json'],
    [MSGPACK, 'msgpack'],
    ['Application/MsgPack; charset=binary', 'msgpack'],
    [' application/msgpack ', 'msgpack'],
  ])('%j means %s', (header, encoding) => expect(encodingOf(header)).toBe(encoding));
});

describe('schemas', () => {
  const record = { id: 't', state: 'queued', priority: 'low', lane: 'any', createdAt: AT, updatedAt: AT };
  const samples: [string, z.ZodObject, Record<string, unknown>][] = [
    ['TaskMessage', TaskMessage, {}],
    ['TaskRecord', TaskRecord, record],
    ['JournalEntry', JournalEntry, { type: 'queued', at: AT, actor: 'a', nonce: 'n', task: record }],
    ['OutputChunk', OutputChunk, { at: AT, stream: 'stdout', lines: ['x'] }],
    ['ResultReference', ResultReference, { bucket: 'b', name: 'n', bytes: 1, digest: 'd' }],
  ];

  test.each(samples)('%s keeps fields that it does not know', (_name, schema, sample) => {
    fc.assert(
      fc.property(unknownFields, fields => {
        const known = parseAs(schema, sample, 'it');
        expect(parseAs(schema, { ...sample, ...fields }, 'it')).toEqual({ ...known, ...fields });
      }),
    );
  });

  test.each(samples)('%s changes nothing more when it is read a second time', (_name, schema, sample) => {
    const once = parseAs(schema, sample, 'it');
    expect(parseAs(schema, once, 'it')).toEqual(once);
  });

  test.each(samples.filter(([name]) => name !== 'TaskMessage'))(
    '%s misses each field that it requires',
    (_name, schema, sample) => {
      for (const field of Object.keys(sample)) {
        const { [field]: _left, ...rest } = sample;
        expect(errorOf(() => parseAs(schema, rest, 'it')).message).toMatch(
          new RegExp(`^it: field ${field}: .*given: nothing`),
        );
      }
    },
  );
});

describe('what is wrong with a task', () => {
  test.each([
    ['a number out of its range', { maxAttempts: 0 }, 'field maxAttempts', '>=1', 'given: 0'],
    ['a text for a number', { timeoutMs: 'soon' }, 'field timeoutMs', 'expected', 'given: "soon"'],
    ['a fraction of a millisecond', { stallTimeoutMs: 1.5 }, 'field stallTimeoutMs', 'int', 'given: 1.5'],
    ['a field of a field', { backoff: { factor: 11 } }, 'field backoff.factor', '<=10', 'given: 11'],
    ['a time that is none', { notBefore: 'tomorrow' }, 'field notBefore', 'ISO', 'given: "tomorrow"'],
    [
      'a time without its offset',
      { notBefore: '2026-01-31T12:00:00' },
      'field notBefore',
      'ISO',
      'given: "2026',
    ],
    ['a label that is no text', { labels: { pool: 1 } }, 'field labels.pool', 'expected string', 'given: 1'],
    ['a foreign trace', { traceparent: 'x' }, 'field traceparent', 'W3C', 'given: "x"'],
    ['null', null, 'task', 'expected object', 'given: null'],
    ['a list', [1], 'task', 'expected object', 'given: [1]'],
    ['nothing', undefined, 'task', 'expected object', 'given: nothing'],
  ])(
    '%s: one line with the field, what is allowed and what was given',
    (_what, value, field, allowed, given) => {
      const error = errorOf(() => parseAs(TaskMessage, value, 'task'));
      expect(error.code).toBe('usage');
      expect(error.message.split('\n')).toHaveLength(1);
      for (const part of [field, allowed, given]) expect(error.message).toContain(part);
    },
  );

  test('too many labels are counted', () => {
    const labels = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`label${i}`, 'x']));
    expect(parseAs(TaskMessage, { labels: labels(32) }, 'task').labels).toEqual(labels(32));
    expect(errorOf(() => parseAs(TaskMessage, { labels: labels(33) }, 'task')).message).toContain(
      'field labels: at most 32 labels',
    );
  });

  test('a long value is cut', () => {
    const error = errorOf(() => parseAs(TaskMessage, { description: 'x'.repeat(5_000) }, 'task'));
    expect(error.message).toContain('4096');
    expect(error.message.length).toBeLessThan(250);
  });

  test('an empty task has all its defaults', () => {
    expect(parseAs(TaskMessage, {}, 'task')).toEqual({
      description: '',
      labels: {},
      timeoutMs: 1_800_000,
      stallTimeoutMs: 0,
      maxAttempts: 3,
      backoff: { baseMs: 1_000, factor: 2, maxMs: 300_000 },
      createdBy: 'unknown',
    });
  });
});
