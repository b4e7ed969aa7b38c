// The replay of a task's journal: what a fleet writes is accepted, and each way to spoil it is found.
import { describe, expect, test } from 'vitest';
import { OPERATOR } from './fleet.ts';
import { History } from './history.ts';
import { replay } from './replay.ts';

const problemsOf = (history: History): string[] => replay(history.lines).problems;

describe('the replay of a journal', () => {
  test('accepts a life with failures, a lost lease, a retry and an end', () => {
    const history = new History('t-1', { maxAttempts: 2 })
      .claimed('n1')
      .retrying('n1')
      .claimed('n2')
      .claimed('n3', 5_000)
      .write({ type: 'failed', reason: 'lease-lost', error: 'n3 fell silent' }, 'n4')
      .requeued()
      .claimed('n1')
      .write({ type: 'released', reason: 'drain' }, 'n1')
      .claimed('n2')
      .done('n2');
    const life = replay(history.lines);
    expect(life.problems).toEqual([]);
    expect(life.retries).toBe(1);
    expect(life.attempts.map(({ node, isCounted, endedBy }) => [node, isCounted, endedBy?.type])).toEqual([
      ['n1', true, 'retrying'],
      ['n2', true, 'claimed'],
      ['n3', true, 'failed'],
      ['n1', false, 'released'],
      ['n2', true, 'done'],
    ]);
  });

  test('accepts a claim that was stored before its first entry, or without one', () => {
    const [first, ...others] = new History().claimed().done().lines;
    if (!first) throw new Error('no entry');
    expect(replay(others).problems).toEqual([]);
    expect(replay([...others.slice(0, 1), first, ...others.slice(1)]).problems).toEqual([]);
  });

  test('finds a second end, whoever wrote it', () => {
    expect(problemsOf(new History().claimed().done().spoiled('done', 'n1'))).toContainEqual(
      expect.stringContaining('written after the end (done)'),
    );
    expect(
      problemsOf(new History().claimed().done().spoiled('cancelled', OPERATOR, { state: 'cancelled' })),
    ).toContainEqual(expect.stringContaining('written after the end (done)'));
  });

  test('finds a retry by anybody but an operator', () => {
    const history = new History('t-1', { maxAttempts: 1 }).claimed().failed();
    expect(problemsOf(history)).toEqual([]);
    expect(problemsOf(history.write({ type: 'requeued' }, 'n2'))).toContainEqual(
      expect.stringContaining('written after the end (failed)'),
    );
  });

  test('finds an end by a worker that does not hold the attempt', () => {
    const history = new History().claimed('n1').claimed('n2', 5_000).done('n1');
    expect(problemsOf(history)).toContainEqual(expect.stringContaining('attempt 2 is held by n2'));
  });

  test('finds a result of another attempt', () => {
    const history = new History()
      .claimed('n1')
      .claimed('n1', 5_000)
      .write({ type: 'done', result: { attempt: 1, node: 'n1' } }, 'n1');
    expect(problemsOf(history)).toContainEqual(expect.stringContaining('its result is of attempt 1'));
  });

  test('finds a record that does not follow from the one before', () => {
    expect(
      problemsOf(new History().claimed().spoiled('done', 'n1', { state: 'done', attempt: 2 })),
    ).toContainEqual(expect.stringContaining('attempt is 2 and should be 1'));
    expect(problemsOf(new History().spoiled('done', 'n1', { state: 'done' }))).toContainEqual(
      expect.stringContaining('cannot follow queued'),
    );
  });

  test('finds an end before all attempts were used', () => {
    expect(problemsOf(new History('t-1', { maxAttempts: 3 }).claimed().failed())).toContainEqual(
      expect.stringContaining('the end after 1 of 3 attempts'),
    );
  });

  test('finds an attempt before its pause is over', () => {
    const slow = new History().claimed().retrying().claimed('n2', 1_000);
    expect(problemsOf(slow)).toEqual([]);
    const backoff = { baseMs: 10_000, factor: 2, maxMs: 10_000 };
    const early = new History()
      .spoiled('unservable', 'n1', { backoff })
      .claimed()
      .retrying()
      .claimed('n2', 1_000);
    expect(problemsOf(early)).toContainEqual(expect.stringContaining('4000 ms before it is due'));
  });

  test('finds an entry that its subject contradicts', () => {
    const { lines } = new History().claimed().done();
    const last = lines.at(-1);
    if (last) last.actor = 'n2';
    expect(replay(lines).problems).toContainEqual(
      expect.stringContaining('the subject and the entry (done by n1) differ'),
    );
  });
});
