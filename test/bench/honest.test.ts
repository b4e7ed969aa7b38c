import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Bench } from '../../bench/harness/bench.ts';
import { Books } from '../../bench/harness/books.ts';
import { Flights } from '../../bench/harness/flights.ts';
import { constant, runArrivals } from '../../bench/harness/load.ts';
import { judge, parseThreshold, Report } from '../../bench/harness/report.ts';
import type { Side } from '../../bench/sides/index.ts';

/** Closes books on a side that says this about itself; gives the names of what failed. */
async function failures(
  said: { left: number; finals: [string, number][] },
  book: (books: Books) => void,
): Promise<string[]> {
  const side = {
    name: 'orch',
    left: async () => said.left,
    finals: async () => new Map(said.finals),
  } as unknown as Side;
  const bench = { sync: 'always', contestants: [{ side, served: { url: '' } }] } as unknown as Bench;
  const report = new Report([]);
  const books = new Books();
  book(books);
  await books.close(bench, report, 'test');
  return report.checks.filter(check => !check.ok).map(check => check.name.replace(/^.*: /, ''));
}

const RAN = 'every task ran once';
const QUEUE = 'the queue holds what must wait and nothing else';
const FINAL = 'every task has exactly one final entry';

const ran = (ids: string[]) => (books: Books) => {
  for (const id of ids) books.of('orch').published.add(id);
  books.of('orch').ran = ids.length;
};

test('books of tasks that all ran and ended once are in order', async () => {
  expect(await failures({ left: 0, finals: [['a', 1]] }, ran(['a']))).toEqual([]);
});

test.each([
  ['has no final entry', [['a', 1]], [FINAL]],
  [
    'has two final entries',
    [
      ['a', 1],
      ['b', 2],
    ],
    [FINAL],
  ],
  [
    'nobody published has ended',
    [
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ],
    [FINAL],
  ],
] as [string, [string, number][], string[]][])(
  'a task that %s fails the books',
  async (_what, finals, failed) => {
    expect(await failures({ left: 0, finals }, ran(['a', 'b']))).toEqual(failed);
  },
);

test('a task that is started twice, one that never ran and one that is given up fail the books', async () => {
  const flights = new Flights();
  const flight = flights.take();
  flights.started(flight.n);
  flights.started(flight.n);
  flights.ended(flight.n);
  const once = { left: 0, finals: [['a', 1]] as [string, number][] };
  const twice = await failures(once, books => {
    books.of('orch').watch(flights);
    books.of('orch').published.add('a');
  });
  const never = await failures(once, books => books.of('orch').published.add('a'));
  const lost = await failures(once, books => {
    ran(['a'])(books);
    books.of('orch').lost++;
  });
  flights.close();
  expect([twice, never, lost]).toEqual([[RAN], [RAN], [RAN]]);
});

test('a queue from which parked tasks are missing fails the books', async () => {
  const failed = await failures({ left: 2, finals: [] }, books => {
    books.of('orch').parked = 3;
  });
  expect(failed).toEqual([QUEUE]);
});

test('tasks that were due while a side stood still count from when they were due', async () => {
  const STILL_MS = 200;
  const late: number[] = [];
  let isFirst = true;
  await runArrivals(constant(100, 100), 1, async dueAt => {
    if (isFirst) await sleep(STILL_MS);
    isFirst = false;
    late.push(performance.now() - dueAt);
  });
  // The second was due 10 ms after the first, and waited for the rest of its stand-still.
  expect(late[0]).toBeGreaterThanOrEqual(STILL_MS - 1);
});

test('a threshold holds for every metric that has its tags, and is crossed where there is none', () => {
  const report = new Report(
    ['rate{to:bare}:med>=2', 'rate{to:floor}:med>=2', 'rate:med<9'].map(parseThreshold),
  );
  const section = report.section('test', { sync: 'always' });
  section.perRound('rate', 'x', { to: 'bare', users: 1 }).add(3);
  section.perRound('rate', 'x', { to: 'bare', users: 100 }).add(1);
  expect(judge(report).map(({ key, ok }) => [key, ok])).toEqual([
    ['rate{to:bare,users:1,sync:always}', true],
    ['rate{to:bare,users:100,sync:always}', false],
    [undefined, false],
    ['rate{to:bare,users:1,sync:always}', true],
    ['rate{to:bare,users:100,sync:always}', true],
  ]);
});

test('a threshold on a side that is absent goes with it', () => {
  const report = new Report([parseThreshold('rate_ratio{to:bullmq}:med>1')]);
  expect(judge(report).map(({ ok }) => ok)).toEqual([false]);
  report.absent.set('bullmq', 'not installed');
  expect(judge(report)).toEqual([]);
});

test('each round gives one ratio of orch to each other side', () => {
  const section = new Report([]).section('test', { sync: '1s' });
  section.figures(
    'time',
    'ms',
    new Map([
      ['orch', 3],
      ['bare', 2],
      ['floor', 1],
    ]),
  );
  section.figures(
    'time',
    'ms',
    new Map([
      ['orch', 4],
      ['bare', 2],
      ['floor', 1],
    ]),
  );
  const ratios = [...section.metrics.values()].filter(({ name }) => name === 'time_ratio');
  expect(ratios.map(({ tags, data }) => [tags['to'], 'values' in data ? data.values : []])).toEqual([
    ['bare', [1.5, 2]],
    ['floor', [3, 4]],
  ]);
});
