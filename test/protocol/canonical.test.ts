// The fast check of values against the schemas that it is derived from.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import * as protocol from '../../src/protocol/index.ts';
import {
  canonicalCheck,
  isCanonicalEntry,
  isCanonicalMessage,
  JournalEntry,
  TaskMessage,
} from '../../src/protocol/index.ts';
import { AT, newRecord } from '../support/record.ts';
import { anyValues, validValues } from './values.ts';

const message = () => TaskMessage.parse({ createdAt: AT, input: { n: 1 } });
const entry = () => ({ type: 'claimed', at: AT, actor: 'w1', nonce: 'n', task: newRecord() });

/** Whether parsing succeeds and gives back an equal value with the same properties. */
function isUnchanged(schema: z.ZodType, value: unknown): boolean {
  const parsed = schema.safeParse(value);
  return parsed.success && isDeepStrictEqual(parsed.data, value);
}

describe.each([
  ['task message', TaskMessage, isCanonicalMessage],
  ['journal entry', JournalEntry, isCanonicalEntry],
] as const)('a %s', (_name, schema, isCanonical: (value: unknown) => boolean) => {
  // If a new field breaks this one, its kind or its check is to be added to canonical.ts: every task would be parsed.
  test('passes exactly if parsing gives it back unchanged, whatever its fields are', () => {
    const outcomes = { passed: 0, failed: 0 };
    fc.assert(
      fc.property(fc.oneof(validValues(schema), anyValues(schema)), value => {
        const passed = isCanonical(value);
        outcomes[passed ? 'passed' : 'failed']++;
        expect(passed).toBe(isUnchanged(schema, value));
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(outcomes.passed, outcomes.failed)).toBeGreaterThan(300);
  });

  test('passes with each of its fields', () => {
    const fields = new Set<string>();
    for (const value of fc.sample(validValues(schema), 500) as object[]) {
      expect(isCanonical(value)).toBe(true);
      for (const field of Object.keys('task' in value ? { ...value, ...(value.task as object) } : value))
        fields.add(field);
    }
    const known = { ...schema.shape, ...('task' in schema.shape ? schema.shape.task.shape : {}) };
    expect([...fields].sort()).toEqual(Object.keys(known).sort());
  });

  test('passes once its defaults are filled in, whatever it was', () => {
    fc.assert(
      fc.property(anyValues(schema), value => {
        const parsed = schema.safeParse(value);
        if (parsed.success) expect(isCanonical(parsed.data)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

const schemas = (Object.entries(protocol) as [string, unknown][]).filter(
  (named): named is [string, z.ZodObject] => named[1] instanceof z.ZodObject,
);

test.each(schemas)('a value that passes for %s is one that parsing gives back unchanged', (_name, schema) => {
  const isCanonical = canonicalCheck(schema);
  fc.assert(
    fc.property(fc.oneof(validValues(schema), anyValues(schema)), value => {
      if (isCanonical(value)) expect(isUnchanged(schema, value)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test.each([undefined, null, 7, 'text', [], new Date(0), {}, JSON.parse('{"__proto__":{}}')])(
  '%j does not pass',
  value => expect(isCanonicalMessage(value)).toBe(false),
);

test('what would change the prototype of a record does not pass', () => {
  const text = JSON.stringify(message()).replace('{', '{"__proto__":{"x":1},');
  expect(isCanonicalMessage(JSON.parse(text))).toBe(false);
});

test('the order of the fields does not matter', () => {
  expect(isCanonicalMessage(Object.fromEntries(Object.entries(message()).reverse()))).toBe(true);
  expect(isCanonicalEntry(Object.fromEntries(Object.entries(entry()).reverse()))).toBe(true);
});

describe('a field that is added to a schema', () => {
  const colour = z.string().max(3);

  test.each([
    ['required', colour],
    ['optional', colour.optional()],
    ['with a default', colour.default('red')],
  ])('is checked: %s', (_how, field) => {
    const check = canonicalCheck(TaskMessage.extend({ color: field }));
    expect(check({ ...message(), color: 'red' })).toBe(true);
    expect(check({ ...message(), color: 'far too long' })).toBe(false);
    expect(check({ ...message(), color: 3 })).toBe(false);
    expect(check(message())).toBe(field instanceof z.ZodOptional);
  });

  test('is checked at any depth', () => {
    const Task = JournalEntry.shape.task.extend({
      backoff: protocol.Backoff.extend({ color: colour.optional() }),
    });
    const check = canonicalCheck(JournalEntry.extend({ task: Task }));
    const withColor = (color: string) => {
      const task = newRecord();
      return { ...entry(), task: { ...task, backoff: { ...task.backoff, color } } };
    };
    expect(check(withColor('red'))).toBe(true);
    expect(check(withColor('far too long'))).toBe(false);
  });

  test.each<[string, z.ZodType, unknown]>([
    ['trims', z.string().trim(), 'x'],
    ['changes its case', z.string().toLowerCase(), 'x'],
    ['is transformed', z.string().transform(text => text.length), 'x'],
    ['is preprocessed', z.preprocess(value => value, z.string()), 'x'],
    ['is a codec', z.codec(z.string(), z.number(), { decode: Number, encode: String }), '1'],
    ['is coerced', z.coerce.number(), 1],
    ['is coerced to text', z.coerce.string(), 'x'],
    ['has a bound that is not included', z.number().gt(0), 1],
    ['is a multiple', z.number().multipleOf(2), 2],
    ['is of another format', z.url(), 'http://example.com'],
    ['is of a format of its own', z.stringFormat('x', /x/), 'x'],
    ['is a small integer', z.int32(), 1],
    ['is a float', z.float32(), 1],
    ['begins with something', z.string().startsWith('x'), 'x'],
    ['has an exact length', z.string().length(1), 'x'],
    ['has a pattern that keeps its place', z.string().regex(/x/g), 'x'],
    ['is checked by superRefine', z.string().superRefine(() => {}), 'x'],
    ['is checked by a function of checks', z.string().check(() => {}), 'x'],
    ['is checked asynchronously', z.string().refine(async () => true), 'x'],
    ['is null or something', z.string().nullable(), null],
    ['is one of two', z.union([z.string(), z.number()]), 'x'],
    ['is a literal', z.literal('x'), 'x'],
    ['is a tuple', z.tuple([z.string()]), ['x']],
    ['is lazy', z.lazy(() => z.string()), 'x'],
    ['is frozen', z.string().readonly(), 'x'],
    ['is replaced when invalid', z.string().catch('y'), 'x'],
    ['is any value', z.any(), 'x'],
    ['is a date', z.date(), new Date(0)],
    ['is a strict object', z.strictObject({ a: z.string() }), { a: 'x' }],
    ['is an object that drops fields', z.object({ a: z.string() }), { a: 'x' }],
    ['has a schema for other fields', z.object({}).catchall(z.string()), { a: 'x' }],
    ['is a record with certain keys', z.record(z.enum(['a']), z.string()), { a: 'x' }],
    ['is a loose record', z.looseRecord(z.string(), z.string()), { a: 'x' }],
    ['is a partial record', z.partialRecord(z.enum(['a']), z.string()), { a: 'x' }],
  ])('sends values to the schema if its kind is not known: %s', (_what, field, value) => {
    const required = canonicalCheck(TaskMessage.extend({ added: field }));
    const optional = canonicalCheck(TaskMessage.extend({ added: field.optional() }));
    expect(required({ ...message(), added: value })).toBe(false);
    expect(optional({ ...message(), added: value })).toBe(false);
    expect(required(message())).toBe(false);
  });

  test.each<[string, z.ZodType]>([
    ['an optional one with a default', z.string().default('x').optional()],
    ['an optional one of an optional one with a default', z.string().default('x').optional().optional()],
    ['a default for an optional one', z.string().optional().default('x')],
    [
      'an optional one that is checked',
      z
        .string()
        .optional()
        .refine(text => text !== undefined),
    ],
    ['one of unknown type', z.unknown()],
    ['a default for one of unknown type', z.unknown().default('x')],
    ['an exactly optional one', z.string().exactOptional()],
    ['one that is made from nothing', z.preprocess(() => 'x', z.string()).optional()],
    ['one that is replaced when invalid', z.string().catch('x').optional()],
  ])('that is absent does not pass unless parsing leaves it out: %s', (_what, field) => {
    const schema = TaskMessage.extend({ added: field });
    const check = canonicalCheck(schema);
    for (const value of [message(), { ...message(), added: undefined }]) {
      if (check(value)) expect(isUnchanged(schema, value)).toBe(true);
    }
  });

  test('that is a text is measured in characters, as the schema does', () => {
    const schema = z.looseObject({ color: z.string().min(2).max(3) });
    const check = canonicalCheck(schema);
    for (const color of ['x', 'xx', 'xxx', 'xxxx', '😀', '😀😀', '😀😀😀', '😀😀😀😀'])
      expect(check({ color })).toBe(isUnchanged(schema, { color }));
  });

  test('that is a list is checked item by item, gaps included', () => {
    const schema = z.looseObject({ tags: z.array(z.string().min(2)).min(1).max(2) });
    const check = canonicalCheck(schema);
    expect(check({ tags: ['ab', 'cd'] })).toBe(true);
    // biome-ignore lint/suspicious/noSparseArray: that is what is tested.
    for (const tags of [[], ['ab', 'c'], ['ab', , 'cd'], new Array(1), ['ab', 'cd', 'ef'], 'ab'])
      expect(check({ tags })).toBe(false);
  });
});
