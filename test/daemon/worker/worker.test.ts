import { connect, headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus, PullEnd } from '../../../src/bus/index.ts';
import { type Daemon, type Handler, TryLater } from '../../../src/daemon/index.ts';
import {
  anyTaskSubject,
  BOARD,
  decode,
  holdsSubject,
  laneConsumer,
  TASKS,
  taskSubject,
} from '../../../src/protocol/index.ts';
import {
  cancelTask,
  getTask,
  listTasks,
  taskHistory,
  taskOutput,
  waitForTask,
} from '../../../src/tasks/index.ts';
import { TEST_LEASE_MS, TestNats } from '../../support/nats.ts';
import { startDaemon } from '../../support/node.ts';
import { publishTask } from '../../support/tasks.ts';
import { letTimePass, until } from '../../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

let names = 0;
const unique = (prefix: string) => `${prefix}-${++names}`;
const ended = (id: string) => waitForTask(bus, id, AbortSignal.timeout(30_000));

/** A worker on a connection of its own, stopped at the end of the test. */
async function worker(
  capabilities: string[],
  handler: Handler,
  concurrency = 1,
): Promise<Daemon & AsyncDisposable> {
  const started = await startDaemon(await nats.bus(), {
    node: unique('w'),
    capabilities,
    concurrency,
    handler,
  });
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.stop(0) });
}

/** A handler that holds its tasks until it is told to let go. */
function gate() {
  const waiting: { id: string; open(): void }[] = [];
  const handler: Handler = (task, { signal }) =>
    new Promise((resolve, reject) => {
      waiting.push({ id: task.id, open: () => resolve('opened') });
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  return { handler, waiting };
}

describe('choosing work', () => {
  test('a worker runs the tasks that it is capable of and no others', async () => {
    const [a, b] = [unique('cap'), unique('cap')];
    const ran: string[] = [];
    await using _ = await worker([a, 'spare'], task => void ran.push(task.id));
    const needsBoth = await publishTask(bus, { capabilities: [a, b] });
    const needsOther = await publishTask(bus, { capabilities: [b] });
    const mine = await publishTask(bus, { capabilities: [a] });
    await ended(mine.id);
    expect(ran).toEqual([mine.id]);
    expect((await getTask(bus, needsBoth.id)).state).toBe('queued');
    expect((await getTask(bus, needsOther.id)).state).toBe('queued');
  });

  test('high comes before medium before low, and within a lane first in is first out', async () => {
    const cap = unique('cap');
    const order: unknown[] = [];
    const specs = (['low', 'medium', 'high', 'low', 'medium', 'high'] as const).map((priority, i) => ({
      capabilities: [cap],
      priority,
      input: `${priority}-${i}`,
    }));
    const published = [];
    for (const spec of specs) published.push(await publishTask(bus, spec));
    await using _ = await worker([cap], task => void order.push(task.input));
    await Promise.all(published.map(({ id }) => ended(id)));
    expect(order).toEqual(['high-2', 'high-5', 'medium-1', 'medium-4', 'low-0', 'low-3']);
  });

  test('a high task that comes while low ones wait is next', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await bus.lanes.ensure('high', cap);
    await using _ = await worker([cap], handler);
    for (let i = 0; i < 3; i++) await publishTask(bus, { capabilities: [cap], priority: 'low' });
    await until('the first to run', () => waiting.length === 1);
    const high = await publishTask(bus, { capabilities: [cap], priority: 'high' });
    const highLane = async () => (await bus.lanes.list()).find(lane => lane.consumer === `high_${cap}`);
    await until('it to be offered', async () => (await highLane())?.idleWorkers === 0);
    waiting[0]?.open();
    await until('the second to run', () => waiting.length === 2);
    expect(waiting[1]?.id).toBe(high.id);
  });

  test('a delivery that was given back waits for the next request, however soon that comes', async () => {
    const lane = unique('cap');
    await publishTask(bus, { capabilities: [lane] });
    const ends: PullEnd[] = [];
    const request = () => pull.request({ batch: 1, noWait: true, rank: 0 });
    const pull = bus.lanes.pull(laneConsumer('medium', lane), {
      onDelivery: delivery => void delivery.giveBack().then(request),
      onEnd: end => void ends.push(end),
    });
    request();
    await until(
      'it to come 1,000 times, or not at all',
      () => ends.length >= 1_000 || ends.includes('empty'),
    );
    await pull.close();
    expect(ends).not.toContain('empty');
  });

  test('of two idle workers the more specialised one is served', async () => {
    const cap = unique('cap');
    const ran: string[] = [];
    await using _broad = await worker([cap, 'x1', 'x2', 'x3'], () => void ran.push('broad'));
    await using _narrow = await worker([cap], () => void ran.push('narrow'));
    await publishTask(bus, { capabilities: [cap] }).then(({ id }) => ended(id));
    await until(
      'both to wait',
      async () => (await bus.lanes.list()).find(lane => lane.lane === cap)?.idleWorkers === 2,
    );
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await ended(id);
    expect(ran.at(-1)).toBe('narrow');
  });

  test('a task that reaches a full worker is given back and run by another', async () => {
    const cap = unique('cap');
    const first = gate();
    const second = gate();
    await using _full = await worker([cap], first.handler);
    await publishTask(bus, { capabilities: [cap], priority: 'low' });
    await until('the first to be full', () => first.waiting.length === 1);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await using _free = await worker([cap], second.handler);
    await until('the second to run it', () => second.waiting.some(waiting => waiting.id === id));
    expect((await getTask(bus, id)).attempt).toBe(1);
  });

  test('a worker learns of a lane that appears later, and serves many at once', async () => {
    const cap = unique('cap');
    let most = 0;
    let now = 0;
    await using _ = await worker(
      [cap],
      async () => {
        most = Math.max(most, ++now);
        await until('four to run', () => most >= 4);
        now--;
      },
      4,
    );
    const published = await Promise.all(
      Array.from({ length: 8 }, () => publishTask(bus, { capabilities: [cap] })),
    );
    await Promise.all(published.map(({ id }) => ended(id)));
    expect(most).toBe(4);
  });

  test('lanes that are made all the time do not keep a worker from seeing them', async () => {
    const caps = Array.from({ length: 40 }, () => unique('cap'));
    let ran = 0;
    await using _ = await worker(caps, () => void ran++, 4);
    let made = 0;
    await until('it to run one while lanes are made', async () => {
      const cap = caps[made % caps.length] ?? '';
      if (made < caps.length) await publishTask(bus, { id: unique('t'), capabilities: [cap] });
      made++;
      return made <= caps.length
        ? ran > 0
        : Promise.reject(new Error(`${made} lanes were made, and none was seen`));
    });
  });

  test('a malformed message ends as failed and the worker goes on', async () => {
    const cap = unique('cap');
    await using _ = await worker([cap], () => 'ran');
    await bus.lanes.ensure('medium', cap);
    await bus.streams.write(taskSubject('medium', cap, 'malformed-1'), Buffer.from('{"input":'));
    const good = await publishTask(bus, { capabilities: [cap] });
    expect(await ended(good.id)).toMatchObject({ state: 'done', result: 'ran' });
    expect(await getTask(bus, 'malformed-1')).toMatchObject({ state: 'failed', reason: 'invalid' });
  });
});

describe('ending', () => {
  test('a result, a failure with retries, and a later try each end as they should', async () => {
    const cap = unique('cap');
    const backoff = { baseMs: 20, factor: 1, maxMs: 20 };
    await using _ = await worker([cap], task => {
      if (task.input === 'throw') throw new Error('no good');
      if (task.input === 'later' && task.attempt < 3) throw new TryLater('busy');
      return { got: task.input };
    });
    const [good, bad, later] = await Promise.all(
      ['x', 'throw', 'later'].map(input =>
        publishTask(bus, { capabilities: [cap], input, maxAttempts: 2, backoff }),
      ),
    );
    expect(await ended(good?.id ?? '')).toMatchObject({ state: 'done', result: { got: 'x' } });
    expect(await ended(bad?.id ?? '')).toMatchObject({
      state: 'failed',
      reason: 'error',
      error: 'no good',
      attempt: 2,
    });
    expect(await ended(later?.id ?? '')).toMatchObject({ state: 'done', attempt: 3, forgiven: 2 });
  });

  test.each([
    ['longer than its time limit', { timeoutMs: 200 }, 'timeout'],
    ['silent for longer than its stall limit', { stallTimeoutMs: 200 }, 'stalled'],
  ])('an attempt that is %s is stopped and counts as failed', async (_what, limit, reason) => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await using _ = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap], maxAttempts: 1, ...limit });
    expect(await ended(id)).toMatchObject({ state: 'failed', reason });
    expect(waiting.length).toBe(1);
  });

  test('progress feeds the stall limit', async () => {
    const cap = unique('cap');
    await using _ = await worker([cap], async (_task, { progress }) => {
      for (let i = 0; i < 10; i++) {
        progress(`${i}`);
        // In all longer than the stall limit.
        await letTimePass(60);
      }
    });
    const { id } = await publishTask(bus, { capabilities: [cap], maxAttempts: 1, stallTimeoutMs: 400 });
    expect((await ended(id)).state).toBe('done');
  });

  test('a running attempt hears of its cancellation and stops', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await using running = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => waiting.length === 1);
    await cancelTask(bus, id, 'op');
    await until('the worker to be free', () => running.worker.running === 0);
    expect((await taskHistory(bus, id)).map(line => line.type)).toEqual(['queued', 'claimed', 'cancelled']);
  });

  test('a long attempt keeps its lease', async () => {
    const cap = unique('cap');
    await using _ = await worker([cap], () => letTimePass(2.5 * TEST_LEASE_MS));
    const { id } = await publishTask(bus, { capabilities: [cap] });
    expect(await ended(id)).toMatchObject({ state: 'done', attempt: 1 });
  });

  test('what a task prints is stored in order with its attempt', async () => {
    const cap = unique('cap');
    await using _ = await worker([cap], (_task, { log }) => {
      for (let i = 0; i < 5; i++) log(`line ${i}`);
    });
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await ended(id);
    const lines: string[] = [];
    for await (const chunk of taskOutput(bus, id)) lines.push(...chunk.lines);
    expect(lines).toEqual(['line 0', 'line 1', 'line 2', 'line 3', 'line 4']);
  });

  test('output over its rate is dropped and counted, and the task is not held up', async () => {
    const cap = unique('cap');
    await using _ = await worker([cap], (_task, { log }) => {
      for (let i = 0; i < 100_000; i++) log('x'.repeat(100));
    });
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await ended(id);
    let [kept, dropped] = [0, 0];
    for await (const chunk of taskOutput(bus, id)) {
      kept += chunk.lines.length;
      dropped += chunk.dropped;
    }
    expect(kept).toBeGreaterThan(1_000);
    expect(kept + dropped).toBe(100_000);
  });
});

describe('a result', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const throws = () => {
    throw new Error('no json of me');
  };
  test.each<[string, unknown, RegExp]>([
    ['that refers to itself', circular, /circular/],
    ['with a bigint', { rows: 10n }, /field "rows" is a bigint/],
    ['that is a function', () => 1, /it is a function/],
    ['whose toJSON throws', { toJSON: throws }, /no json of me/],
    ['that is not a number', { average: Number.NaN }, /field "average" is NaN/],
    ['that is a map', new Map([['a', 1]]), /it is a Map or Set/],
  ])(
    '%s fails its attempt once with the reason, and the next task is served',
    async (_what, value, error) => {
      const cap = unique('cap');
      await using _ = await worker([cap], task => (task.input === 'bad' ? value : 'fine'));
      const bad = await publishTask(bus, { capabilities: [cap], input: 'bad', maxAttempts: 1 });
      const good = await publishTask(bus, { capabilities: [cap] });
      expect(await ended(bad.id)).toMatchObject({
        state: 'failed',
        reason: 'result-invalid',
        error: expect.stringMatching(error),
      });
      expect((await ended(good.id)).result).toBe('fine');
    },
  );

  test('goes to the object store where the server takes small messages only', async () => {
    await using small = await TestNats.start({ extraConfig: 'max_payload: 65536' });
    const client = await small.bus();
    const results = { inline: 'x'.repeat(1_000), large: 'x'.repeat(65_000), larger: 'x'.repeat(200_000) };
    const node = await startDaemon(await small.bus(), {
      handler: task => results[task.input as keyof typeof results],
    });
    for (const [input, result] of Object.entries(results)) {
      const { id } = await publishTask(client, { input, maxAttempts: 1 });
      const record = await waitForTask(client, id, AbortSignal.timeout(30_000));
      expect(record.state).toBe('done');
      const stored = record.resultRef ? await client.objects.get(record.resultRef) : undefined;
      expect(stored ? decode(stored) : record.result).toBe(result);
      expect(record.resultRef === undefined).toBe(input === 'inline');
    }
    await node.stop(0);
  });
});

describe('a claim whose acknowledgement is late', () => {
  test('is neither taken over nor counted twice while it is not known whether it was stored', async () => {
    const cap = unique('cap');
    const late = await nats.bus();
    const write = late.streams.write.bind(late.streams);
    late.streams.write = async (subject, ...rest) => {
      const written = await write(subject, ...rest);
      // Long enough for the lease to run out, were it not renewed, and for the other worker to take the task over.
      if (subject.includes('.claimed.')) await letTimePass(3 * TEST_LEASE_MS);
      return written;
    };
    const ran: string[] = [];
    const slow = await startDaemon(late, {
      node: unique('late'),
      capabilities: [cap],
      handler: () => void ran.push('late'),
    });
    const { id } = await publishTask(bus, { capabilities: [cap], maxAttempts: 1 });
    await until('the claim', async () => (await getTask(bus, id)).state === 'claimed');
    await using _ = await worker([cap], () => void ran.push('other'));
    expect(await ended(id)).toMatchObject({ state: 'done', attempt: 1 });
    expect(ran).toEqual(['late']);
    await slow.stop(0);
  });
});

describe('being asked', () => {
  test('a worker says whether it is at work on a task, in the encoding of the question', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await using busy = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => waiting.length === 1);
    const client = await connect({ servers: nats.url });
    const plain = await client.request(holdsSubject(busy.node, id));
    expect(plain.json()).toEqual({ holds: true });
    const asked = headers();
    asked.set('Content-Type', 'application/msgpack');
    const packed = await client.request(holdsSubject(busy.node, 'another'), new Uint8Array(), {
      timeout: 1_000,
      headers: asked,
    });
    expect(packed.headers?.get('Content-Type')).toBe('application/msgpack');
    expect(decode(packed.data, 'msgpack')).toEqual({ holds: false });
    await client.close();
  });
});

describe('a long queue', () => {
  const LONG = 400;
  const publishMany = (client: Bus) =>
    Promise.all(Array.from({ length: LONG }, (_, n) => publishTask(client, { input: n })));

  test('is worked off in its order, with no more handlers at once than slots', async () => {
    await using own = await TestNats.start();
    const client = await own.bus();
    const published = await publishMany(client);
    const order: unknown[] = [];
    let [now, most] = [0, 0];
    const busy = await startDaemon(await own.bus(), {
      concurrency: 3,
      handler: async ({ input }) => {
        most = Math.max(most, ++now);
        order.push(input);
        await new Promise(setImmediate);
        now--;
      },
    });
    await Promise.all(published.map(({ id }) => waitForTask(client, id, AbortSignal.timeout(30_000))));
    expect(most).toBe(3);
    expect(order).toEqual(Array.from({ length: LONG }, (_, n) => n));
    const messages = async () =>
      (await client.streams.inspect()).find(stream => stream.name === TASKS)?.messages;
    await until('the queue to be empty', async () => (await messages()) === 0);
    await busy.stop();
  });

  test('holds no message of what is done when its worker has stopped', async () => {
    await using own = await TestNats.start({ leaseMs: 600_000 });
    const client = await own.bus();
    const published = await publishMany(client);
    const { handler } = gate();
    let runs = 0;
    let hold = () => {};
    const held = new Promise<void>(resolve => {
      hold = resolve;
    });
    const connection = await own.bus();
    const stopping = await startDaemon(connection, {
      handler: (task, context) => {
        if (++runs < 20) return undefined;
        hold();
        return handler(task, context);
      },
    });
    // At once: what is held back of the last ones goes by itself within 20 ms.
    await held;
    await stopping.stop(0);
    // Nothing is said after that; what was said the server works off by itself.
    await connection.close();
    const left = async () =>
      (await client.streams.subjects(TASKS, 'tasks.>')).map(subject => subject.split('.').at(-1));
    const undone = published.slice(19).map(({ id }) => id);
    await until('the done ones to be gone', async () => (await left()).length <= undone.length);
    expect(new Set(await left())).toEqual(new Set(undone));
  });
});

describe('stopping', () => {
  test('many attempts at once warns of no leak', async () => {
    const cap = unique('cap');
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    const { handler, waiting } = gate();
    const running = await worker([cap], handler, 30);
    for (let i = 0; i < 30; i++) await publishTask(bus, { capabilities: [cap] });
    await until('all to run', () => waiting.length === 30);
    await running.stop(0);
    process.off('warning', note);
    expect(warnings.map(({ name }) => name)).toEqual([]);
  });

  // So long that a task which waits for a lease to run out does not end within the test.
  const LONG_LEASE_MS = 600_000;

  test('a drain lets attempts finish, takes no new work, and gives back the rest at once', async () => {
    await using own = await TestNats.start({ leaseMs: LONG_LEASE_MS });
    const client = await own.bus();
    const { handler, waiting } = gate();
    const draining = await startDaemon(await own.bus(), { concurrency: 2, handler });
    const published = await Promise.all([1, 2, 3].map(() => publishTask(client, { maxAttempts: 1 })));
    await until('two to run', () => waiting.length === 2);
    const stopped = draining.stop(400);
    waiting[0]?.open();
    await stopped;
    const states = await Promise.all(published.map(async ({ id }) => (await getTask(client, id)).state));
    expect(states.sort()).toEqual(['done', 'queued', 'queued']);
    const second = await startDaemon(await own.bus(), { concurrency: 3, handler: () => 'second' });
    await Promise.all(published.map(({ id }) => waitForTask(client, id, AbortSignal.timeout(30_000))));
    expect(waiting.length).toBe(2);
    await second.stop();
  });

  test('workers that come and go under load leave no task waiting for a lease', async () => {
    await using own = await TestNats.start({ leaseMs: LONG_LEASE_MS });
    const client = await own.bus();
    const ids: string[] = [];
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) ids.push((await publishTask(client, {})).id);
    })();
    for (let i = 0; i < 25; i++) {
      const coming = await startDaemon(await own.bus(), { concurrency: 4, handler: () => undefined });
      await until('it to work', async () => ids.length > (i + 1) * 8);
      await coming.stop();
    }
    isOver = true;
    await publishing;
    const last = await startDaemon(await own.bus(), { concurrency: 20, handler: () => undefined });
    await Promise.all(ids.map(id => waitForTask(client, id, AbortSignal.timeout(30_000))));
    await last.stop();
  });

  test('a second stop does not wait for the drain', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    const draining = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => waiting.length === 1);
    const slow = draining.stop(60_000);
    await draining.stop(0);
    await slow;
    expect((await getTask(bus, id)).state).toBe('queued');
  });
});

describe('a server that goes away', () => {
  test('an attempt goes on, and its end is written when the server is back', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await using _ = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => waiting.length === 1);
    await nats.kill();
    waiting[0]?.open();
    await nats.restart();
    expect(await ended(id)).toMatchObject({ state: 'done', result: 'opened' });
    await until(
      'the queue to be empty',
      async () => !(await bus.streams.last(TASKS, anyTaskSubject(id)).catch(() => true)),
    );
  });

  test('a list is complete after a restart that lost the board, and a worker makes the board again', async () => {
    await using own = await TestNats.start();
    const client = await own.bus();
    const { id } = await publishTask(client, { capabilities: ['nobody'] });
    await own.kill();
    await own.restart();
    expect((await listTasks(client)).map(task => task.id)).toEqual([id]);
    const worker = await startDaemon(await own.bus(), { handler: () => undefined });
    const hasBoard = async () =>
      (await client.streams.inspect()).find(stream => stream.name === BOARD)?.messages === 1;
    await until('the board to be there', hasBoard);
    await own.kill();
    await own.restart();
    await until('the board to be there again', () => hasBoard().catch(() => false));
    await worker.stop(0);
  });

  test('a server that forgot a delivery does not make a second attempt of a running one', async () => {
    const cap = unique('cap');
    const [first, second] = [gate(), gate()];
    await using _one = await worker([cap], first.handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => first.waiting.length === 1);
    // What a killed server does to deliveries of its last moments, and a worker that was full makes worse: the
    // consumer starts anew, and the first delivery is given back.
    await bus.lanes.delete('medium', cap);
    await bus.lanes.ensure('medium', cap);
    const [surplus] = await bus.lanes.fetch(`medium_${cap}`, 1, 0);
    expect(surplus?.subject).toMatch(id);
    surplus?.nak();
    await using _two = await worker([cap], second.handler);
    // In this time the second would be offered the task, and run it.
    await letTimePass(2 * TEST_LEASE_MS);
    expect(second.waiting).toEqual([]);
    first.waiting[0]?.open();
    expect(await ended(id)).toMatchObject({ state: 'done', attempt: 1 });
  });

  test('a worker that was cut off for longer than its lease and is back keeps its attempt', async () => {
    const cap = unique('cap');
    const { handler, waiting } = gate();
    await using one = await worker([cap], handler);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', () => waiting.length === 1);
    await nats.kill();
    await letTimePass(1.5 * TEST_LEASE_MS);
    await nats.restart();
    await until(
      'the first to be back',
      async () => (await bus.requests.ask(holdsSubject(one.node, id), undefined, 500)).kind === 'reply',
    );
    await using _two = await worker([cap], () => 'second');
    // The server has long counted the lease as run out: the second is offered the task, asks, and gives it back.
    await until(
      'the second to be idle',
      async () => (await bus.lanes.list()).find(lane => lane.lane === cap)?.idleWorkers === 1,
    );
    waiting[0]?.open();
    expect(await ended(id)).toMatchObject({ state: 'done', attempt: 1, result: 'opened' });
  });
});
