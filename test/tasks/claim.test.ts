// What a delivery means, and where it leads a task whose workers fail, drain and die. Without a server.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isActive,
  isFinal,
  RELEASES_MAX,
  TASK_STATES,
  type TaskRecord,
  type TaskState,
} from '../../src/protocol/index.ts';
import { afterFailure, afterRelease, apply, decideClaim, TRANSITIONS } from '../../src/tasks/index.ts';
import { AT, LEASE_MS, NOW, newRecord } from '../support/record.ts';

const state = fc.constantFrom(...TASK_STATES);
const time = fc
  .date({ min: new Date('2026-01-01'), max: new Date('2026-12-31'), noInvalidDate: true })
  .map(date => date.toISOString());

describe('a delivery', () => {
  const seen = fc
    .record({ state, queueSeq: fc.nat(3), notBefore: fc.option(time, { nil: undefined }) })
    .map(({ notBefore, ...rest }) => newRecord(notBefore === undefined ? rest : { ...rest, notBefore }));
  const decided = (
    of: (state: TaskState) => boolean,
    check: (record: TaskRecord, queueSeq: number) => void,
  ) =>
    fc.assert(
      fc.property(seen, fc.nat(3), (record, given) => {
        fc.pre(of(record.state));
        check(record, given);
      }),
    );
  const decide = (record: TaskRecord, queueSeq: number) => decideClaim(record, queueSeq, NOW);

  test('of a task that has ended is dropped', () => {
    decided(isFinal, (record, given) => expect(decide(record, given)).toEqual({ kind: 'drop' }));
  });

  test('of a task that waits is claimed, but not before its time', () => {
    decided(
      one => one === 'queued' || one === 'retrying',
      (record, given) => {
        const delayMs = Date.parse(record.notBefore ?? AT) - NOW.getTime();
        expect(decide(record, given)).toEqual(delayMs > 0 ? { kind: 'wait', delayMs } : { kind: 'claim' });
      },
    );
  });

  test('of a task that runs is dropped when its attempt holds another message', () => {
    decided(isActive, record => {
      expect(decide(record, (record.queueSeq ?? 0) + 1)).toEqual({ kind: 'drop' });
    });
  });

  test('of the message that an attempt holds is one to take over', () => {
    decided(isActive, record => {
      expect(decide(record, record.queueSeq ?? -1)).toEqual({ kind: 'take-over' });
    });
  });

  test('is never claimed in a state from which a claim is not allowed', () => {
    decided(
      () => true,
      (record, given) => {
        const { kind } = decide(record, given);
        if (kind === 'claim' || kind === 'take-over')
          expect(TRANSITIONS.claimed.from).toContain(record.state);
      },
    );
  });
});

describe('a task in the hands of workers that fail, give it back and die', () => {
  const fate = fc.constantFrom('fails', 'is given back', 'dies');

  // What a worker does with each delivery: claim or bury, then meet its fate.
  function run(record: TaskRecord, fates: readonly string[]): TaskRecord[] {
    const claims: TaskRecord[] = [];
    for (const next of fates) {
      const decision = decideClaim({ ...record }, 1, NOW);
      if (decision.kind === 'drop') break;
      const used = record.attempt - record.forgiven;
      if (decision.kind === 'take-over' && used >= record.maxAttempts) {
        const change = afterFailure(record, { reason: 'lease-lost', error: 'x' }, NOW, 0);
        record = apply(record, change, AT) ?? record;
        continue;
      }
      record = apply(record, { type: 'claimed', node: 'a', queueSeq: 1, leaseMs: LEASE_MS }, AT) ?? record;
      claims.push(record);
      if (next === 'dies') continue;
      const change =
        next === 'fails'
          ? afterFailure(record, { reason: 'error', error: 'x' }, NOW, 0)
          : afterRelease(record, { reason: 'drain', pause: false }, NOW, 0);
      record = apply(record, change, AT) ?? record;
      delete record.notBefore;
    }
    return [...claims, record];
  }

  test('is tried no more often than it may be, not counting what was given back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fate, { maxLength: 30, size: 'max' }),
        (maxAttempts, fates) => {
          for (const record of run(newRecord({ maxAttempts }), fates))
            expect(record.attempt - record.forgiven).toBeLessThanOrEqual(maxAttempts);
        },
      ),
    );
  });

  test('ends as a dead letter when its workers always die or always give it back', () => {
    for (const [fateOfAll, reason, claims] of [
      ['dies', 'lease-lost', 3],
      ['fails', 'error', 3],
      ['is given back', 'released-too-often', RELEASES_MAX + 1],
    ] as const) {
      const records = run(newRecord({ maxAttempts: 3 }), Array(2 * RELEASES_MAX).fill(fateOfAll));
      expect(records.at(-1)).toMatchObject({ state: 'failed', reason });
      expect(records.length - 1).toBe(claims);
    }
  });
});
