// A task's life without a server: every sequence of changes that the rules allow, drawn at random.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ATTEMPTS_MAX,
  ERROR_LENGTH_MAX,
  isActive,
  isFinal,
  RELEASES_MAX,
  TASK_STATES,
  TaskMessage,
  TaskRecord,
} from '../../src/protocol/index.ts';
import {
  afterFailure,
  afterRelease,
  apply,
  backoffMs,
  type Change,
  queuedRecord,
  TRANSITIONS,
} from '../../src/tasks/index.ts';
import { ADDRESS, AT, NOW, newRecord } from '../support/record.ts';

const state = fc.constantFrom(...TASK_STATES);
const time = fc
  .date({ min: new Date('2026-01-01'), max: new Date('2026-12-31'), noInvalidDate: true })
  .map(date => date.toISOString());
// Given lengths in place of drawn ones: shrinking long strings takes minutes.
const text = fc.constantFrom('', 'x', 'x'.repeat(ERROR_LENGTH_MAX), 'ü'.repeat(2 * ERROR_LENGTH_MAX));
const reason = fc.constantFrom('error', 'timeout', 'drain');
const exitCode = fc.integer({ min: 0, max: 255 });
const backoff = fc.record({
  baseMs: fc.nat(604_800_000),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  maxMs: fc.nat(604_800_000),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    type: fc.constant('claimed'),
    node: fc.constantFrom('a', 'b'),
    queueSeq: fc.nat(9),
    leaseMs: fc.nat(),
  }),
  fc.constant({ type: 'started' }),
  fc.record({ type: fc.constant('blocked'), question: text }),
  fc.record({ type: fc.constant('done'), result: fc.constantFrom(null, 0, 'ok', { list: [1] }), exitCode }),
  fc.record({ type: fc.constant('retrying'), reason, error: text, notBefore: time, exitCode }),
  fc.record({ type: fc.constant('released'), reason, error: text, notBefore: time }),
  fc.record({ type: fc.constant('failed'), reason, error: text }),
  fc.constant({ type: 'requeued' }),
  fc.constant({ type: 'cancelled' }),
) as fc.Arbitrary<Change>;
/** Many, so that lives with several retries are among them; those that the rules refuse are skipped. */
const changes = fc.array(change, { maxLength: 60, size: 'max' });

/** The changes that were allowed, each with the record that it led to. */
function live(given: readonly Change[], record = newRecord()): { change: Change; record: TaskRecord }[] {
  return given.flatMap(one => {
    const next = apply(record, one, AT);
    if (!next) return [];
    record = next;
    return [{ change: one, record }];
  });
}

describe('any sequence of changes', () => {
  test('reaches a second final state only after an operator brought the task back', () => {
    fc.assert(
      fc.property(changes, given => {
        let ended: string | undefined;
        for (const step of live(given)) {
          if (step.change.type === 'requeued') {
            expect(ended).toBe('failed');
            ended = undefined;
          } else {
            expect(ended).toBeUndefined();
            if (isFinal(step.record.state)) ended = step.record.state;
          }
        }
      }),
    );
  });

  test('leaves a record that any reader accepts and reads as it is', () => {
    fc.assert(
      fc.property(changes, given => {
        for (const { record } of live(given)) {
          expect(TaskRecord.parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
          expect(record.forgiven).toBeLessThanOrEqual(record.attempt);
          expect(record.error?.length ?? 0).toBeLessThanOrEqual(ERROR_LENGTH_MAX);
          expect(record.question?.length ?? 0).toBeLessThanOrEqual(ERROR_LENGTH_MAX);
        }
      }),
    );
  });

  test('counts attempts up, one for each claim, and never down', () => {
    fc.assert(
      fc.property(changes, given => {
        let claims = 0;
        for (const step of live(given)) {
          if (step.change.type === 'claimed') claims++;
          expect(step.record.attempt).toBe(claims);
        }
      }),
    );
  });

  test('changes neither what the task is nor the record that it started from', () => {
    fc.assert(
      fc.property(changes, given => {
        const first = Object.freeze(newRecord({ description: 'x', repo: 'r', fromTheFuture: [1] }));
        for (const { record } of live(given, first)) {
          const { id, lane, priority, createdAt, description, repo, fromTheFuture } = first;
          expect(record).toMatchObject({ id, lane, priority, createdAt, description, repo, fromTheFuture });
        }
      }),
    );
  });

  test('leaves nothing of an earlier attempt in a claimed record', () => {
    fc.assert(
      fc.property(changes, given => {
        for (const step of live(given)) {
          if (step.change.type !== 'claimed') continue;
          const { node, queueSeq, leaseMs } = step.change;
          const { attempt, forgiven, released } = step.record;
          expect(step.record).toEqual({
            ...newRecord({ state: 'claimed', attempt, forgiven, released, claimedAt: AT }),
            ...{ node, queueSeq, leaseMs },
          });
        }
      }),
    );
  });
});

describe('a single change', () => {
  test('is allowed in exactly the states of the table and leads to the one it names', () => {
    fc.assert(
      fc.property(state, change, (from, one) => {
        const { from: allowed, to } = TRANSITIONS[one.type];
        expect(apply(newRecord({ state: from }), one, AT)?.state).toBe(
          allowed.includes(from) ? to : undefined,
        );
      }),
      { numRuns: 1_000 },
    );
  });

  test('from a final state there is none but the retry of what failed', () => {
    const ways = Object.entries(TRANSITIONS).flatMap(([type, { from }]) =>
      from.filter(isFinal).map(one => `${one} ${type}`),
    );
    expect(ways).toEqual(['failed requeued']);
  });

  test('every state that is not final can be cancelled, and every active one can end', () => {
    const open = TASK_STATES.filter(one => !isFinal(one));
    expect([...TRANSITIONS.cancelled.from].sort()).toEqual([...open].sort());
    for (const type of ['done', 'failed', 'retrying', 'released', 'claimed'] as const)
      expect(TRANSITIONS[type].from).toEqual(expect.arrayContaining(TASK_STATES.filter(isActive)));
  });
});

describe('a record of a new task', () => {
  test('has all of its message but the input', () => {
    const message = TaskMessage.parse({ description: 'x', input: 'secret', createdAt: AT, mine: 1 });
    const record = queuedRecord(ADDRESS, message, '2026-02-01T00:00:00Z');
    expect(record).toMatchObject({ id: 't-1', state: 'queued', description: 'x', mine: 1, attempt: 0 });
    expect(JSON.stringify(record)).not.toContain('secret');
    expect(record.createdAt).toBe('2026-02-01T00:00:00Z');
  });
});

describe('the pause between attempts', () => {
  test('lies between half of the full one and the full one, and never over the longest', () => {
    fc.assert(
      fc.property(backoff, fc.integer({ min: 1, max: ATTEMPTS_MAX }), random, (given, failures, drawn) => {
        const full = Math.min(given.maxMs, given.baseMs * given.factor ** (failures - 1));
        const pauseMs = backoffMs(given, failures, drawn);
        expect(Number.isInteger(pauseMs)).toBe(true);
        expect(pauseMs).toBeGreaterThanOrEqual(Math.floor(full / 2));
        expect(pauseMs).toBeLessThanOrEqual(Math.ceil(full));
        expect(pauseMs).toBeLessThanOrEqual(given.maxMs);
      }),
      { numRuns: 1_000 },
    );
  });

  test('grows by its factor until it is as long as it may be', () => {
    const given = { baseMs: 1_000, factor: 2, maxMs: 5_000 };
    expect([1, 2, 3, 4, 5].map(failures => backoffMs(given, failures, 0))).toEqual([
      500, 1_000, 2_000, 2_500, 2_500,
    ]);
  });

  test('is spread over its whole upper half', () => {
    const given = { baseMs: 1_000, factor: 1, maxMs: 1_000 };
    expect([0, 0.5, 0.999].map(drawn => backoffMs(given, 1, drawn))).toEqual([500, 750, 1_000]);
  });
});

describe('a failure', () => {
  const failure = { reason: 'error', error: 'x', exitCode: 1 } as const;

  test('leads to another attempt while one is left, after its pause, and else to the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(100), random, (maxAttempts, forgiven, drawn) => {
        for (const used of [1, maxAttempts - 1, maxAttempts].filter(count => count > 0)) {
          const record = newRecord({ state: 'claimed', maxAttempts, forgiven, attempt: forgiven + used });
          const next = afterFailure(record, failure, NOW, drawn);
          expect(next).toMatchObject(failure);
          expect(next.type).toBe(used < maxAttempts ? 'retrying' : 'failed');
          if (next.type !== 'retrying') continue;
          expect(Date.parse(next.notBefore) - NOW.getTime()).toBe(backoffMs(record.backoff, used, drawn));
        }
      }),
    );
  });
});

describe('giving back', () => {
  const release = { reason: 'drain', pause: false } as const;

  test('keeps the attempt from counting', () => {
    const record = newRecord({ state: 'claimed', attempt: 3, forgiven: 1, maxAttempts: 2 });
    const change = afterRelease(record, release, NOW, 0);
    expect(change).toEqual({ type: 'released', reason: 'drain' });
    expect(apply(record, change, AT)).toMatchObject({ state: 'queued', attempt: 3, forgiven: 2 });
  });

  test('with a pause says until when', () => {
    const change = afterRelease(newRecord({ state: 'claimed' }), { ...release, pause: true }, NOW, 0);
    expect(change).toEqual({ type: 'released', reason: 'drain', notBefore: '2026-01-31T12:00:00.500Z' });
  });

  test('is counted anew after an operator’s retry', () => {
    const failed = newRecord({
      state: 'failed',
      attempt: RELEASES_MAX + 1,
      forgiven: RELEASES_MAX,
      released: RELEASES_MAX,
    });
    const again = apply(failed, { type: 'requeued' }, AT) as TaskRecord;
    expect(again).toMatchObject({ forgiven: RELEASES_MAX + 1, released: 0 });
    expect(afterRelease({ ...again, state: 'claimed' }, release, NOW, 0).type).toBe('released');
  });

  test('too often is a failure', () => {
    const record = (released: number) =>
      newRecord({ state: 'claimed', attempt: released + 1, forgiven: released, released });
    expect(afterRelease(record(RELEASES_MAX - 1), release, NOW, 0).type).toBe('released');
    expect(afterRelease(record(RELEASES_MAX), release, NOW, 0)).toMatchObject({
      type: 'failed',
      reason: 'released-too-often',
    });
  });
});
