// What `orch top` asks of a server, and how often.
import { afterEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { Feed } from '../../src/cli/top/feed.ts';
import { OutputTail, readLastLines } from '../../src/cli/top/output.ts';
import { emptyPicture } from '../../src/cli/top/picture.ts';
import { Store } from '../../src/cli/top/store.ts';
import { encode, outputSubject } from '../../src/protocol/index.ts';
import { publishTask } from '../../src/tasks/index.ts';
import { nextAttempt } from '../support/lane.ts';
import { TestNats } from '../support/nats.ts';
import { newRecord } from '../support/record.ts';
import { until } from '../support/wait.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(): Promise<{ nats: TestNats; bus: Bus }> {
  const nats = await TestNats.start();
  cleanups.push(() => nats[Symbol.asyncDispose]());
  return { nats, bus: await nats.bus() };
}

/** Counts the calls of one method of a bus, and how many of them were under way at once. */
function count(bus: Bus, method: 'inspect' | 'subjects') {
  const calls = { made: 0, now: 0, most: 0 };
  const original = bus.streams[method].bind(bus.streams) as (...args: unknown[]) => Promise<unknown>;
  Object.assign(bus.streams, {
    async [method](...args: unknown[]) {
      calls.made++;
      calls.most = Math.max(calls.most, ++calls.now);
      try {
        return await original(...args);
      } finally {
        calls.now--;
      }
    },
  });
  return calls;
}

function follow(bus: Bus): { store: Store; feed: Feed } {
  const store = new Store(emptyPicture(80, 24));
  const feed = new Feed(bus, store, 'tester');
  cleanups.push(() => feed.stop());
  feed.start();
  return { store, feed };
}

describe('the rounds', () => {
  test('never meet, however much there is to hurry for', async () => {
    const { bus } = await server();
    const rounds = count(bus, 'inspect');
    const { feed } = follow(bus);
    await until('twenty rounds', () => {
      feed.hurry();
      return rounds.made >= 20;
    });
    expect(rounds.most).toBe(1);
  });

  test('take from events what becomes of tasks, and do not read the list of all tasks each time', async () => {
    const { bus } = await server();
    // A list of all tasks ends with the subjects of the queue.
    const lists = count(bus, 'subjects');
    const began = performance.now();
    const { store } = follow(bus);
    await until('a list', () => lists.made === 1 && store.get().status);
    await publishTask(bus, { id: 'news' }, 'tester');
    const attempt = await nextAttempt(bus, 'n1');
    await until('the task in the picture', () => store.get().tasks.some(({ id }) => id === 'news'));
    await attempt.done(undefined);
    await until('it to be gone', () => store.get().tasks.length === 0);
    await until('what happened', () => store.get().events.length === 3);
    // Every ten seconds all the same.
    expect(lists.made).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / 10_000));
  });

  test('read the list again where events came faster than they are read', async () => {
    const { bus } = await server();
    const lists = count(bus, 'subjects');
    const { store } = follow(bus);
    await until('a list', () => lists.made === 1 && store.get().status);
    await Promise.all(Array.from({ length: 400 }, (_, i) => publishTask(bus, { id: `many-${i}` }, 'tester')));
    await until('another list', () => lists.made > 1);
    await until('events', () => store.get().events.length > 0);
    expect(store.get().events.length).toBeLessThanOrEqual(200);
  });

  test('say that the server is away, keep the picture, and go on when it is back', async () => {
    const { nats, bus } = await server();
    const { store } = follow(bus);
    await until('a picture', () => store.get().status);
    await nats.kill();
    await until('a word of it', () => store.get().trouble);
    expect(store.get().status).toBeDefined();
    await nats.restart();
    await (await nats.bus()).streams.provision();
    await until('no trouble', () => store.get().trouble === undefined);
  });
});

describe('output', () => {
  const print = (bus: Bus, task: string, attempt: number, ...lines: string[]) =>
    bus.streams.write(
      outputSubject(task, attempt, 'n1'),
      encode({ at: new Date().toISOString(), stream: 'stdout', lines, dropped: 0 }),
    );

  test('is the last line of the attempt that runs, and none that is blank', async () => {
    const { bus } = await server();
    await print(bus, 'a', 1, 'of the first attempt');
    await print(bus, 'b', 2, 'one', 'two', '  ');
    const tasks = [
      newRecord({ id: 'a', attempt: 2, node: 'n1' }),
      newRecord({ id: 'b', attempt: 2, node: 'n1' }),
      newRecord({ id: 'c', attempt: 1, node: 'n1' }),
    ];
    expect([...(await readLastLines(bus, tasks))]).toEqual([['b', 'two']]);
  });

  test('of an open task is read from near its end, and then on', async () => {
    const { bus } = await server();
    const tail = new OutputTail(bus, 'a');
    expect(await tail.read()).toEqual([]);
    await print(bus, 'a', 1, 'first');
    expect(await tail.read()).toEqual([{ attempt: 1, text: 'first' }]);
    await print(bus, 'a', 2, 'second', 'third');
    expect((await tail.read()).map(({ text }) => text)).toEqual(['first', 'second', 'third']);
    expect((await new OutputTail(bus, 'a').read()).map(({ text }) => text)).toEqual([
      'first',
      'second',
      'third',
    ]);
  });

  test('of an open task is no more than 500 lines, however much there is', async () => {
    const { bus } = await server();
    await Promise.all(Array.from({ length: 1_200 }, (_, i) => print(bus, 'a', 1, `early ${i}`)));
    await print(bus, 'a', 1, ...Array.from({ length: 200 }, (_, i) => `late ${i}`));
    const reads = countRead(bus);
    const tail = new OutputTail(bus, 'a');
    const lines = await tail.read();
    expect(lines.at(-1)?.text).toBe('late 199');
    expect(lines.length).toBeLessThanOrEqual(500);
    expect(lines.length).toBeGreaterThanOrEqual(200);
    // One batch of the server, and the one message that says that there is more.
    expect(reads.messages).toBeLessThanOrEqual(1_001);
    await print(bus, 'a', 1, ...Array.from({ length: 900 }, (_, i) => `later ${i}`));
    const more = await tail.read();
    expect(more).toHaveLength(500);
    expect(more.at(-1)?.text).toBe('later 899');
  });

  function countRead(bus: Bus) {
    const reads = { messages: 0 };
    const original = bus.streams.range.bind(bus.streams);
    bus.streams.range = async function* (...args) {
      for await (const stored of original(...args)) {
        reads.messages++;
        yield stored;
      }
    };
    return reads;
  }
});
