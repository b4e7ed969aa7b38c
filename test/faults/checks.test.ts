// The checks at the end of a run: each holds where nothing went wrong, and fails for what it is there to find.
import { describe, expect, test } from 'vitest';
import { check, type Facts, isUnhandled, outcomes } from './checks.ts';
import { factsOf, History, listedTask, plannedTask } from './history.ts';

const found = (facts: Facts): string[] => check(facts).map(({ check: name, detail }) => `${name}: ${detail}`);
const ended = () => new History().claimed().done();

describe('the checks of a run', () => {
  test('hold where every task ended once', () => {
    expect(found(factsOf([ended(), new History('t-2', { atMs: 1 }).claimed('n2').done('n2')]))).toEqual([]);
  });

  test('find an acknowledged task that is nowhere', () => {
    const facts = factsOf([ended()], { planned: [plannedTask('t-1'), plannedTask('t-2')] });
    expect(found(facts)).toEqual([]);
    expect(found({ ...facts, acknowledged: new Set(['t-1', 't-2']) })).toEqual([
      'no acknowledged task is lost: neither in the journal nor in the queue',
    ]);
  });

  test('find a waiting task without a message, or one that is not delivered any more', () => {
    const waiting = factsOf([new History().claimed().retrying()]);
    expect(found(waiting)).toEqual([
      'no acknowledged task is lost: retrying, and its message is not in the queue',
    ]);
    const isStuck = { ...waiting, queued: new Set(['t-1']) };
    expect(found(isStuck).join()).toContain('and nothing happens any more');
    expect(found({ ...isStuck, isQuiet: false })).toEqual([]);
  });

  test('find a running task that no live node holds', () => {
    const facts = factsOf([new History().claimed()], { queued: new Set(['t-1']) });
    expect(found(facts)).toEqual([
      'no acknowledged task is lost: claimed by n1, which does not answer to be at work on it',
    ]);
    expect(found({ ...facts, held: new Set(['t-1']) })).toEqual([]);
  });

  test('find a good task that failed, and one whose input was lost', () => {
    const bad = new History('t-1', { maxAttempts: 1 }).claimed().failed();
    const facts = factsOf([bad], { dead: new Set(['t-1']) });
    expect(found(facts)).toEqual([
      'no acknowledged task is lost: meant to end well, failed as error: meant to fail',
    ]);
    expect(found({ ...facts, planned: [plannedTask('t-1', 'dead')] })).toEqual([]);
    const lost = new History().write({ type: 'failed', reason: 'message-lost', error: 'gone' }, 'n1');
    expect(found(factsOf([lost]))).toEqual(['no acknowledged task is lost: failed as message-lost: gone']);
  });

  test('find a failed task without its input, and an ended one that is still queued', () => {
    const dead = factsOf([new History('t-1', { maxAttempts: 1 }).claimed().failed()], {
      planned: [plannedTask('t-1', 'dead')],
    });
    expect(found(dead)).toEqual(['a failed task keeps its input: failed as error, no dead letter']);
    expect(found(factsOf([ended()], { queued: new Set(['t-1']) }))).toEqual([
      'an ended task leaves the queue: done, its message is still queued',
    ]);
  });

  test('find an acknowledged cancel or retry that does not stand', () => {
    expect(found(factsOf([ended()], { cancelled: new Set(['t-1']) }))).toEqual([
      'an acknowledged cancel or retry stands: cancelled, and now done',
    ]);
    expect(found(factsOf([ended()], { retried: new Map([['t-1', 1]]) }))).toEqual([
      'an acknowledged cancel or retry stands: retried 1 times, 0 in the journal',
    ]);
  });

  test('find a list that is not the fold of the journal', () => {
    const history = ended();
    const name = 'the list is the fold of the journal';
    expect(found(factsOf([history], { listed: [] }))).toEqual([`${name}: not in the list`]);
    const [shown] = listedTask(new History().claimed());
    if (!shown) throw new Error('no line');
    expect(found(factsOf([history], { listed: [shown] }))).toEqual([
      `${name}: claimed in attempt 1, by the journal done in attempt 1`,
    ]);
    // It was true when the list was read, and what was written then is true as well.
    expect(found(factsOf([history], { listed: [shown], listedAt: 15 }))).toEqual([]);
    expect(found(factsOf([history], { listedAt: 15 }))).toEqual([]);
    const stranger = { id: 't-2', state: 'queued' };
    expect(found(factsOf([history], { listed: [...listedTask(history), stranger] }))).toEqual([
      `${name}: listed and nowhere else`,
    ]);
  });

  test('find a worker that ran what it is not capable of, what it had not claimed, or the same attempt again', () => {
    const shell = new History('t-1', { lane: 'shell' }).claimed('n1').done('n1');
    expect(found(factsOf([shell]))).toEqual(['no worker runs what it is not capable of: n1 lacks shell']);
    const ran = new Map([
      ['n1', ['t-1 1', 't-1 1']],
      ['n2', ['t-1 2']],
    ]);
    expect(found(factsOf([ended()], { ran }))).toEqual([
      'an attempt begins once: attempt 1 began again on n1',
      'what runs was claimed: n2 began attempt 2 unclaimed',
    ]);
  });

  test('find an attempt that counts and never began, unless its worker was killed or stopped just then', () => {
    const history = new History().claimed('n1').claimed('n2', 5_000).done('n2');
    const facts = factsOf([history], { ran: new Map([['n2', ['t-1 2']]]) });
    expect(found(facts)).toEqual([
      'only what began counts as an attempt: attempt 1 of n1 never began and counts; ended by claimed',
    ]);
    const claimedAt = history.lines[1]?.storedAt ?? 0;
    const spell = { node: 'n1', what: 'killed' as const, from: claimedAt + 100, to: claimedAt + 200 };
    expect(found({ ...facts, spells: [spell] })).toEqual([]);
    expect(found({ ...facts, spells: [{ ...spell, node: 'n3' }] })).toHaveLength(1);
    const before = { ...spell, from: claimedAt - 5_000, to: claimedAt - 4_000 };
    expect(found({ ...facts, spells: [before] })).toHaveLength(1);
    const released = new History()
      .claimed('n1')
      .write({ type: 'released', reason: 'drain' }, 'n1')
      .claimed('n2')
      .done('n2');
    expect(found(factsOf([released], { ran: new Map([['n2', ['t-1 2']]]) }))).toEqual([]);
  });

  test('find a stop over its bound, a daemon that died, a defect in a log, and what is left over', () => {
    const stop = { node: 'n1', signals: 'TERM', tookMs: 20_001, boundMs: 20_000 };
    const facts = factsOf([ended()], {
      stops: [stop, { ...stop, tookMs: 20_000 }],
      deaths: [{ node: 'n2', at: 0, exit: { code: 1, signal: null } }],
      logs: new Map([['n3', ['{"level":40,"msg":"fine"}', 'TypeError: x is not a function']]]),
      leftovers: ['17 node main.js worker'],
      unreadable: ['3 journal.task.t-1.done.n1: no JSON'],
    });
    expect(check(facts).map(violation => violation.check)).toEqual([
      'every stop ends',
      'no daemon dies by itself',
      'no unhandled error in a log',
      'no process is left over',
      'the journal is readable',
    ]);
  });
});

describe('a line of a daemon’s log', () => {
  test('is a report, or an error that nothing foresaw', () => {
    for (const line of [
      '{"level":40,"error":"the server did not acknowledge it in time","msg":"cannot decide the claim"}',
      'orch: node n1 runs on host a, process 1 now',
      '      give one of them another name with --node',
    ])
      expect(isUnhandled(line), line).toBe(false);
    for (const line of [
      '{"level":60,"msg":"fatal"}',
      '{"level":40,"error":"Objm is not a constructor"}',
      '{"level":40,"error":"Cannot read properties of undefined"}',
      '(node:1) MaxListenersExceededWarning: Possible EventTarget memory leak detected.',
      '    at Worker.run (file:///main.js:1:1)',
    ])
      expect(isUnhandled(line), line).toBe(true);
  });
});

describe('the outcomes of a run', () => {
  test('are counted by the last entry of each acknowledged task', () => {
    const facts = factsOf([ended(), new History('t-2').claimed(), new History('t-3'), new History('t-4')]);
    expect(outcomes({ ...facts, acknowledged: new Set(['t-1', 't-2', 't-3']) })).toEqual({
      done: 1,
      running: 1,
      waiting: 1,
    });
  });
});
