// The short look at task messages and journal entries against the schemas that it stands in for.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ATTEMPTS_MAX,
  DESCRIPTION_LENGTH_MAX,
  isWholeEntry,
  isWholeMessage,
  JournalEntry,
  LABELS_MAX,
  TASK_TIMEOUT_MS_MAX,
  TaskMessage,
} from '../../src/protocol/index.ts';
import { AT, newRecord } from '../support/record.ts';

const wholeEntry = () => ({ type: 'claimed', at: AT, actor: 'w1', nonce: 'n', task: newRecord() });
const whole = () => TaskMessage.parse({ createdAt: '2026-01-31T12:00:00.000Z', input: { n: 1 } });
const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

/** Values at and beyond each field's bounds, and of other types. */
const edges: Record<string, unknown[]> = {
  description: ['', 'x'.repeat(DESCRIPTION_LENGTH_MAX), 'x'.repeat(DESCRIPTION_LENGTH_MAX + 1)],
  repo: ['x', 'x'.repeat(512), 'x'.repeat(513)],
  labels: [
    {},
    { a: 'b' },
    { a: 1 },
    { ['k'.repeat(65)]: 'v' },
    { k: 'v'.repeat(257) },
    JSON.parse('{"__proto__":"x"}'),
    ...[LABELS_MAX, LABELS_MAX + 1].map(count =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v'])),
    ),
  ],
  timeoutMs: [0, 1, TASK_TIMEOUT_MS_MAX, TASK_TIMEOUT_MS_MAX + 1, 1.5],
  stallTimeoutMs: [-1, 0, TASK_TIMEOUT_MS_MAX, TASK_TIMEOUT_MS_MAX + 1],
  maxAttempts: [0, 1, ATTEMPTS_MAX, ATTEMPTS_MAX + 1],
  backoff: [
    {},
    { baseMs: 1, factor: 2, maxMs: 3 },
    { baseMs: 1, factor: 2, maxMs: 3, later: 'x' },
    { baseMs: -1, factor: 2, maxMs: 3 },
    { baseMs: 1, factor: 0.5, maxMs: 3 },
    { baseMs: 1, factor: 11, maxMs: 3 },
    { baseMs: 1, factor: Number.NaN, maxMs: 3 },
    { baseMs: 1, factor: 2, maxMs: TASK_TIMEOUT_MS_MAX + 1 },
    JSON.parse('{"baseMs":1,"factor":2,"maxMs":3,"__proto__":{"x":1}}'),
  ],
  notBefore: ['2026-01-31T12:00:00Z', '2026-02-30T12:00:00Z', '2026-01-31T12:00:00+02:00', '2026-01-31'],
  createdBy: ['alice', 'x'.repeat(64), 'x'.repeat(65)],
  traceparent: [traceparent, traceparent.toUpperCase(), traceparent.slice(1), ''],
  createdAt: ['2026-01-31T12:00:00.000Z', 'yesterday'],
  input: [null, 'text', { deep: [1] }],
  ofTomorrow: ['kept'],
};
const strange = [
  undefined,
  null,
  true,
  0,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'x',
  [],
  {},
  new Date(0),
];

/** Of a record. */
const recordEdges: Record<string, unknown[]> = {
  ...edges,
  state: ['done', 'gone'],
  priority: ['high', 'urgent'],
  lane: ['any'],
  updatedAt: ['2026-01-31T12:00:00.000Z', '2026-13-01T00:00:00Z'],
  attempt: [0, 7, -1, 0.5],
  forgiven: [0, -1],
  released: [0, -1],
  node: ['w1', 5],
  queueSeq: [12, 2 ** 60, 0.5],
  leaseMs: [15_000],
  claimedAt: ['2026-01-31T12:00:00.000Z', 'now'],
  startedAt: ['now'],
  endedAt: ['2026-01-31T12:00:00.000Z', ''],
  reason: ['drain', 'a reason of tomorrow'],
  error: ['x'.repeat(5_000)],
  exitCode: [1, -1, 1.5],
  question: ['which?'],
  unservableSince: ['2026-01-31T12:00:00.000Z', 7],
  result: [null, { a: 1 }],
  resultRef: [{ bucket: 'b', name: 'n', bytes: 1, digest: 'd' }, {}],
};
const entryEdges: Record<string, unknown[]> = {
  type: ['done', 'queued', 'of-tomorrow'],
  at: ['2026-01-31T12:00:00.000Z', 'now'],
  actor: ['w1'],
  nonce: ['n'],
};

/** What `make` gives, with up to four fields at an edge or of a strange value. */
function edited(make: () => object, edges: Record<string, unknown[]>) {
  const edit = fc
    .constantFrom(...Object.keys(edges))
    .chain(key =>
      fc
        .oneof(
          { weight: 3, arbitrary: fc.constantFrom(...(edges[key] ?? [])) },
          { weight: 1, arbitrary: fc.constantFrom(...strange) },
        )
        .map(value => [key, value] as const),
    );
  return fc.array(edit, { maxLength: 4 }).map(edits => Object.assign(make(), Object.fromEntries(edits)));
}
const message = edited(whole, edges);
const entry = fc.oneof(
  edited(() => newRecord(), recordEdges).map(task => ({ ...wholeEntry(), task })),
  edited(wholeEntry, entryEdges),
);

test.each([
  ['message', message, isWholeMessage, TaskMessage],
  ['journal entry', entry, isWholeEntry, JournalEntry],
] as const)(
  'what passes for a whole %s is one that the schema gives back as it is',
  (_, values, isWhole, schema) => {
    let passed = 0;
    fc.assert(
      fc.property(values as fc.Arbitrary<unknown>, value => {
        if (!isWhole(value)) return;
        passed++;
        expect(schema.parse(value)).toEqual(value);
      }),
      { numRuns: 3_000 },
    );
    expect(passed).toBeGreaterThan(100);
  },
);

test('what the schema has filled in passes, whatever it was', () => {
  fc.assert(
    fc.property(message, value => {
      const parsed = TaskMessage.safeParse(value);
      if (parsed.success) expect(isWholeMessage(parsed.data)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test.each([undefined, null, 7, 'text', [], new Date(0), {}, JSON.parse('{"__proto__":{}}')])(
  '%j does not pass',
  value => expect(isWholeMessage(value)).toBe(false),
);

test('what would change the prototype of a record does not pass', () => {
  const text = JSON.stringify(whole()).replace('{', '{"__proto__":{"x":1},');
  expect(isWholeMessage(JSON.parse(text))).toBe(false);
});
