import { connect, headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import {
  anyTaskSubject,
  decode,
  encode,
  isCanonicalEntry,
  isCanonicalMessage,
  JOURNAL,
  OrchError,
  OUTPUT,
  TASKS,
  taskSubject,
} from '../../src/protocol/index.ts';
import {
  cancelTask,
  claim,
  getTask,
  lastEntry,
  listTasks,
  newTaskId,
  openSince,
  publishAndWait,
  publishTask,
  retryTask,
  taskHistory,
  unservableTasks,
} from '../../src/tasks/index.ts';
import { nextAttempt, nextDelivery } from '../support/lane.ts';
import { TEST_LEASE_MS, TestNats } from '../support/nats.ts';
import { letTimePass, until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

const claimant = (actor: string) => ({ actor, leaseMs: TEST_LEASE_MS });
const types = async (id: string) => (await taskHistory(bus, id)).map(line => line.type);
const inQueue = async (id: string) => (await bus.streams.last(TASKS, anyTaskSubject(id))) !== undefined;
// Each test has a lane of its own, so that no delivery of another one is taken.
let lanes = 0;
const ownLane = () => ({ capabilities: [`lane${++lanes}`] as string[], lane: `lane${lanes}` });

describe('publishing', () => {
  test('a task is queued once, and the same id again tells what became of it', async () => {
    const { capabilities } = ownLane();
    const first = await publishTask(bus, { id: 'pub-1', capabilities, description: 'x' }, 'alice');
    const second = await publishTask(bus, { id: 'pub-1', capabilities, description: 'y' }, 'bob');
    expect([first.created, second.created, second.state]).toEqual([true, false, 'queued']);
    expect(second.record.description).toBe('x');
    expect(await types('pub-1')).toEqual(['queued']);
  });

  test('the same id in another lane is refused too', async () => {
    const here = ownLane();
    const there = ownLane();
    await publishTask(bus, { id: 'pub-2', capabilities: here.capabilities }, 'alice');
    expect(
      (await publishTask(bus, { id: 'pub-2', capabilities: there.capabilities, priority: 'high' }, 'alice'))
        .created,
    ).toBe(false);
    expect((await bus.streams.subjects(TASKS, anyTaskSubject('pub-2'))).length).toBe(1);
  });

  test('the id of a task that is done is refused, and nothing is left in the queue', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'pub-3', capabilities }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).done('ok');
    const again = await publishTask(bus, { id: 'pub-3', capabilities }, 'alice');
    expect([again.created, again.state]).toEqual([false, 'done']);
    await until('the queue to be empty', async () => !(await inQueue('pub-3')));
  });

  test('of 20 clients that publish one id at once exactly one creates it', async () => {
    const { capabilities, lane } = ownLane();
    const clients = await Promise.all(Array.from({ length: 20 }, () => nats.bus()));
    const results = await Promise.all(
      clients.map((client, i) => publishTask(client, { id: 'pub-20', capabilities }, `client-${i}`)),
    );
    expect(results.filter(result => result.created).length).toBe(1);
    expect(await types('pub-20')).toEqual(['queued']);
    await (await nextAttempt(bus, 'w1', lane)).done(undefined);
    expect(await types('pub-20')).toEqual(['queued', 'claimed', 'done']);
  });

  test('a publisher that died before its journal entry: the claim writes what is missing', async () => {
    const { lane } = ownLane();
    await bus.lanes.ensure('medium', lane);
    await bus.streams.write(taskSubject('medium', lane, 'half-1'), encode({ description: 'half' }));
    expect((await getTask(bus, 'half-1')).state).toBe('queued');
    expect((await listTasks(bus, { lane })).map(task => task.id)).toEqual(['half-1']);
    const attempt = await nextAttempt(bus, 'w1', lane);
    expect(attempt.record).toMatchObject({ state: 'claimed', description: 'half', attempt: 1 });
    await attempt.done(1);
    expect(await types('half-1')).toEqual(['claimed', 'done']);
  });

  test('a publisher that died before its queue message: publishing the id again completes it', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'half-2', capabilities }, 'alice');
    await bus.streams.purge(TASKS, anyTaskSubject('half-2'));
    const again = await publishTask(bus, { id: 'half-2', capabilities }, 'alice');
    expect([again.created, again.state]).toEqual([true, 'queued']);
    await (await nextAttempt(bus, 'w1', lane)).done(1);
    expect(await types('half-2')).toEqual(['queued', 'claimed', 'done']);
  });

  test('a task that is too heavy is refused with its weight', async () => {
    await expect(publishTask(bus, { input: 'x'.repeat(600_000) }, 'alice')).rejects.toThrow(
      /weighs 6\d{5} bytes, at most 524288/,
    );
  });

  test('a wrong field is named with what was given', async () => {
    await expect(publishTask(bus, { maxAttempts: 0 }, 'alice')).rejects.toThrow(
      /field maxAttempts: .*given: 0/,
    );
    await expect(publishTask(bus, { capabilities: ['Free BSD'] }, 'alice')).rejects.toMatchObject({
      code: 'usage',
      advice: 'did you mean "free-bsd"?',
    });
  });

  test('the trace of the publisher goes on in the record', async () => {
    const { capabilities } = ownLane();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const { record } = await publishTask(bus, { capabilities, traceparent }, 'alice');
    expect(record.traceparent).toMatch(/^00-a{32}-(?!b{16})[0-9a-f]{16}-01$/);
  });
});

describe('claiming', () => {
  test('of two that claim one delivery exactly one wins, and the other learns who', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'race-1', capabilities }, 'alice');
    const delivery = await nextDelivery(bus, lane);
    const [a, b] = await Promise.all([
      claim(bus, delivery, claimant('w1')),
      claim(bus, delivery, claimant('w2')),
    ]);
    const won = [a, b].filter(outcome => outcome.kind === 'claimed');
    expect(won.length).toBe(1);
    expect(await types('race-1')).toEqual(['queued', 'claimed']);
  });

  test('a first claim and a cancel of the same moment: one of them decides, the other sees it', async () => {
    const { capabilities, lane } = ownLane();
    for (let i = 0; i < 30; i++) {
      const id = `race-cancel-${i}`;
      await publishTask(bus, { id, capabilities }, 'alice');
      const delivery = await nextDelivery(bus, lane);
      const [outcome] = await Promise.all([claim(bus, delivery, claimant('w1')), cancelTask(bus, id, 'op')]);
      const ended = outcome.kind === 'claimed' ? await outcome.attempt.done('late') : 'not claimed';
      expect(ended).not.toBe('written');
      const finals = (await types(id)).filter(type => ['done', 'failed', 'cancelled'].includes(type));
      expect(finals).toEqual(['cancelled']);
    }
  });

  test('a task that is not before its time is given back until then', async () => {
    const { capabilities, lane } = ownLane();
    const notBefore = new Date(Date.now() + 700).toISOString();
    await publishTask(bus, { id: 'later-1', capabilities, notBefore }, 'alice');
    const early = await claim(bus, await nextDelivery(bus, lane), claimant('w1'));
    expect(early.kind).toBe('later');
    const attempt = await nextAttempt(bus, 'w1', lane);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(notBefore));
    await attempt.done(1);
  });

  test.each([
    ['not JSON', 'bad-1', 'not json', /not valid JSON/],
    ['not an object', 'bad-2', '[1]', /expected object/],
    ['a wrong field', 'bad-3', '{"timeoutMs":"soon"}', /field timeoutMs/],
  ])('a message that is %s ends as failed with reason invalid', async (_what, id, payload, error) => {
    const { lane } = ownLane();
    await bus.lanes.ensure('medium', lane);
    await bus.streams.write(taskSubject('medium', lane, id), Buffer.from(payload));
    expect((await claim(bus, await nextDelivery(bus, lane), claimant('w1'))).kind).toBe('gone');
    const record = await getTask(bus, id);
    expect(record).toMatchObject({ state: 'failed', reason: 'invalid', error: expect.stringMatching(error) });
    await until('the queue to be empty', async () => !(await inQueue(id)));
  });

  test('a MessagePack task and fields that orch does not know arrive whole', async () => {
    const { lane } = ownLane();
    await bus.lanes.ensure('medium', lane);
    const message = { description: 'packed', input: { n: 1 }, fromTheFuture: { deep: [1, 2] } };
    await bus.streams.write(taskSubject('medium', lane, 'packed-1'), encode(message, 'msgpack'), {
      headers: { 'Content-Type': 'application/msgpack' },
    });
    const attempt = await nextAttempt(bus, 'w1', lane);
    expect(attempt.input).toEqual({ n: 1 });
    expect(attempt.record).toMatchObject({ description: 'packed', fromTheFuture: { deep: [1, 2] } });
    await attempt.done(1);
    expect(await getTask(bus, 'packed-1')).toMatchObject({ state: 'done', fromTheFuture: { deep: [1, 2] } });
  });

  test('a second message of a running task, from a client that ignores the rule, is dropped', async () => {
    const { capabilities, lane } = ownLane();
    const other = ownLane();
    await publishTask(bus, { id: 'dup-1', capabilities }, 'alice');
    const attempt = await nextAttempt(bus, 'w1', lane);
    await bus.lanes.ensure('medium', other.lane);
    await bus.streams.write(taskSubject('medium', other.lane, 'dup-1'), encode({}));
    expect(await claim(bus, await nextDelivery(bus, other.lane), claimant('w2'))).toEqual({
      kind: 'gone',
      why: 'claimed',
    });
    expect(await attempt.done(1)).toBe('written');
  });
});

describe('messages that strange clients send', () => {
  const send = async (lane: string, id: string, bytes: Uint8Array, headers?: Record<string, string>) => {
    await bus.lanes.ensure('medium', lane);
    await bus.streams.write(taskSubject('medium', lane, id), bytes, headers ? { headers } : {});
  };

  test('an invalid one that is retried ends as invalid again', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-1', Buffer.from('garbage'));
    await claim(bus, await nextDelivery(bus, lane), claimant('w1'));
    await retryTask(bus, 'strange-1', 'op');
    await claim(bus, await nextDelivery(bus, lane), claimant('w1'));
    expect(await getTask(bus, 'strange-1')).toMatchObject({ state: 'failed', reason: 'invalid' });
    expect(await types('strange-1')).toEqual(['failed', 'requeued', 'failed']);
  });

  test('garbage under the id of a dead letter does not replace its input', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'strange-2', capabilities, maxAttempts: 1, input: 'good' }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'x' });
    await until('the old message to be gone', async () => !(await inQueue('strange-2')));
    await send(lane, 'strange-2', Buffer.from('garbage'));
    await claim(bus, await nextDelivery(bus, lane), claimant('w1'));
    await retryTask(bus, 'strange-2', 'op');
    expect((await nextAttempt(bus, 'w1', lane)).input).toBe('good');
  });

  test('garbage under the id of a task in backoff goes, and the task goes on', async () => {
    const { capabilities, lane } = ownLane();
    const other = ownLane();
    await publishTask(bus, { id: 'strange-9', capabilities, backoff: { baseMs: 20 } }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'x' });
    await send(other.lane, 'strange-9', Buffer.from('garbage'));
    expect((await claim(bus, await nextDelivery(bus, other.lane), claimant('w1'))).kind).toBe('gone');
    expect(await (await nextAttempt(bus, 'w1', lane)).done(1)).toBe('written');
  });

  test('a trace header that is not one is left out', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-3', encode({}), { traceparent: '00-zz-1-01' });
    await (await nextAttempt(bus, 'w1', lane)).done(1);
    expect((await getTask(bus, 'strange-3')).traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  test('a 64-bit number in MessagePack is a number', async () => {
    const { lane } = ownLane();
    const packed = Uint8Array.from([0x81, 0xa1, 0x6e, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0]);
    await send(lane, 'strange-4', packed, { 'Content-Type': 'application/msgpack' });
    expect((await nextAttempt(bus, 'w1', lane)).record).toMatchObject({ n: 2 ** 32 });
  });

  test('fields that are called as those of the record do not pass for them', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-5', encode({ node: 5, state: 'done', result: 'fake', attempt: 7 }));
    const attempt = await nextAttempt(bus, 'w1', lane);
    expect(attempt.record).toMatchObject({ node: 'w1', state: 'claimed', attempt: 1 });
    expect(attempt.record).not.toHaveProperty('result');
  });

  test('one that is heavier than a task may be is invalid', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-6', encode({ bulk: 'x'.repeat(600_000) }));
    expect((await claim(bus, await nextDelivery(bus, lane), claimant('w1'))).kind).toBe('gone');
    expect(await getTask(bus, 'strange-6')).toMatchObject({ state: 'failed', reason: 'invalid' });
  });

  test('a heavy one ends with a large inline result', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-7', encode({ bulk: 'x'.repeat(480_000) }));
    expect(await (await nextAttempt(bus, 'w1', lane)).done('y'.repeat(60_000))).toBe('written');
  });

  test('one that is due in thousands of years waits, and is not delivered over and over', async () => {
    const { lane } = ownLane();
    await send(lane, 'strange-8', encode({ notBefore: '9999-12-31T00:00:00Z' }));
    expect((await claim(bus, await nextDelivery(bus, lane), claimant('w1'))).kind).toBe('later');
    expect(await bus.lanes.fetch(`medium_${lane}`, 1, 0)).toEqual([]);
  });
});

describe('leases and fences', () => {
  test('an attempt that lost its lease cannot end the task, and its successor can', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'lease-1', capabilities }, 'alice');
    const first = await nextAttempt(bus, 'w1', lane);
    const second = await nextAttempt(bus, 'w2', lane);
    expect([first.record.attempt, second.record.attempt]).toEqual([1, 2]);
    expect(await first.holdsFence()).toBe(false);
    expect(await first.done('late')).toBe('fenced');
    expect(await first.fail({ reason: 'error', error: 'late' })).toBe('fenced');
    expect(await second.done('in time')).toBe('written');
    expect(await getTask(bus, 'lease-1')).toMatchObject({ state: 'done', result: 'in time', node: 'w2' });
  });

  test('a renewed lease does not run out', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'lease-2', capabilities }, 'alice');
    const attempt = await nextAttempt(bus, 'w1', lane);
    const until = Date.now() + 2.5 * TEST_LEASE_MS;
    while (Date.now() < until) {
      attempt.renew();
      await letTimePass(TEST_LEASE_MS / 3);
    }
    expect(await attempt.holdsFence()).toBe(true);
    expect(await attempt.done(1)).toBe('written');
  });

  test('a task whose workers die in every attempt is a dead letter, not a loop', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'poison', capabilities, maxAttempts: 2 }, 'alice');
    await nextAttempt(bus, 'w1', lane);
    await nextAttempt(bus, 'w2', lane);
    expect((await claim(bus, await nextDelivery(bus, lane), claimant('w3'))).kind).toBe('gone');
    expect(await getTask(bus, 'poison')).toMatchObject({ state: 'failed', reason: 'lease-lost', attempt: 2 });
  });

  test('an attempt that is given back unharmed runs again at once and does not count', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'back-1', capabilities, maxAttempts: 1 }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).release({ reason: 'drain', pause: false });
    const again = await nextAttempt(bus, 'w2', lane);
    expect(again.record).toMatchObject({ attempt: 2, forgiven: 1 });
    expect(await again.done(1)).toBe('written');
  });
});

describe('failing', () => {
  test('a failed attempt is tried again after its backoff, and the last one is a dead letter', async () => {
    const { capabilities, lane } = ownLane();
    const backoff = { baseMs: 200, factor: 2, maxMs: 1_000 };
    await publishTask(
      bus,
      { id: 'fail-1', capabilities, maxAttempts: 2, backoff, input: 'keep me' },
      'alice',
    );
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'first', exitCode: 1 });
    expect(await getTask(bus, 'fail-1')).toMatchObject({ state: 'retrying', error: 'first', exitCode: 1 });
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'second' });
    expect(await getTask(bus, 'fail-1')).toMatchObject({ state: 'failed', error: 'second', attempt: 2 });
    await until('the queue to be empty', async () => !(await inQueue('fail-1')));
    expect(await types('fail-1')).toEqual(['queued', 'claimed', 'retrying', 'claimed', 'failed']);
  });

  test('an operator brings a dead letter back with its input and all its attempts', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'fail-2', capabilities, maxAttempts: 1, input: { keep: 'me' } }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'x' });
    expect((await retryTask(bus, 'fail-2', 'op')).state).toBe('queued');
    const attempt = await nextAttempt(bus, 'w1', lane);
    expect(attempt.input).toEqual({ keep: 'me' });
    expect(attempt.record).toMatchObject({ attempt: 2, forgiven: 1 });
    await attempt.done(1);
    await expect(retryTask(bus, 'fail-2', 'op')).rejects.toMatchObject({ code: 'conflict' });
    await expect(retryTask(bus, 'nobody', 'op')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a retry that died between its entry and its message is completed by another', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'fail-3', capabilities, maxAttempts: 1 }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'x' });
    const dead = await bus.streams.last('ORCH_DEAD', 'dead.fail-3');
    await retryTask(bus, 'fail-3', 'op');
    await bus.streams.purge(TASKS, anyTaskSubject('fail-3'));
    await bus.streams.write('dead.fail-3', dead?.bytes ?? new Uint8Array());
    expect((await retryTask(bus, 'fail-3', 'op')).state).toBe('queued');
    await (await nextAttempt(bus, 'w1', lane)).done(1);
    expect(await types('fail-3')).toEqual(['queued', 'claimed', 'failed', 'requeued', 'claimed', 'done']);
  });
});

describe('cancelling', () => {
  test('a queued task leaves the queue', async () => {
    const { capabilities } = ownLane();
    await publishTask(bus, { id: 'cancel-1', capabilities }, 'alice');
    expect(await cancelTask(bus, 'cancel-1', 'op', 'not needed')).toMatchObject({
      kind: 'cancelled',
      record: { reason: 'not needed' },
    });
    expect(await inQueue('cancel-1')).toBe(false);
    expect((await cancelTask(bus, 'cancel-1', 'op')).kind).toBe('final');
  });

  test('a running attempt is fenced', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'cancel-2', capabilities }, 'alice');
    const attempt = await nextAttempt(bus, 'w1', lane);
    await cancelTask(bus, 'cancel-2', 'op');
    expect(await attempt.done(1)).toBe('fenced');
    expect((await getTask(bus, 'cancel-2')).state).toBe('cancelled');
  });

  test('a task in backoff is cancelled too', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'cancel-3', capabilities }, 'alice');
    await (await nextAttempt(bus, 'w1', lane)).fail({ reason: 'error', error: 'x' });
    expect((await cancelTask(bus, 'cancel-3', 'op')).kind).toBe('cancelled');
    expect(await inQueue('cancel-3')).toBe(false);
  });

  test('an unknown task is an error', async () => {
    await expect(cancelTask(bus, 'nobody', 'op')).rejects.toBeInstanceOf(OrchError);
  });
});

describe('blocking', () => {
  test('a blocked attempt says what it waits for, goes on and ends', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'block-1', capabilities }, 'alice');
    const attempt = await nextAttempt(bus, 'w1', lane);
    await attempt.started();
    await attempt.blocked('may I delete it?');
    expect(await getTask(bus, 'block-1')).toMatchObject({ state: 'blocked', question: 'may I delete it?' });
    await attempt.started();
    await attempt.done(1);
    expect(await types('block-1')).toEqual(['queued', 'claimed', 'started', 'blocked', 'started', 'done']);
  });
});

describe('results', () => {
  test('a result over 64 KiB goes to the object store by reference', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'big-1', capabilities }, 'alice');
    const result = 'x'.repeat(200_000);
    await (await nextAttempt(bus, 'w1', lane)).done(result);
    const record = await getTask(bus, 'big-1');
    expect(record.result).toBeUndefined();
    expect(record.resultRef).toMatchObject({ bytes: 200_002 });
    const bytes = record.resultRef && (await bus.objects.get(record.resultRef));
    expect(JSON.parse(Buffer.from(bytes ?? []).toString())).toBe(result);
  });
});

describe('watching', () => {
  test('events show each accepted entry once and nothing that the journal refused', async () => {
    const { capabilities, lane } = ownLane();
    const watcher = await connect({ servers: nats.url });
    const seen: string[] = [];
    watcher.subscribe('events.task.ev-1.>', { callback: (_, msg) => void seen.push(msg.subject) });
    await watcher.flush();
    await publishTask(bus, { id: 'ev-1', capabilities }, 'alice');
    const first = await nextAttempt(bus, 'w1', lane);
    const second = await nextAttempt(bus, 'w2', lane);
    await first.done('refused');
    await second.done('accepted');
    await until('the last event', () => seen.includes('events.task.ev-1.done.w2'));
    await watcher.close();
    expect(seen).toEqual([
      `events.task.ev-1.queued.alice.medium_${lane}`,
      'events.task.ev-1.claimed.w1',
      'events.task.ev-1.claimed.w2',
      'events.task.ev-1.done.w2',
    ]);
  });

  test('the list is complete even where the board has not caught up', async () => {
    const { capabilities, lane } = ownLane();
    const ids = Array.from({ length: 50 }, () => newTaskId());
    await Promise.all(ids.map(id => publishTask(bus, { id, capabilities }, 'alice')));
    expect((await listTasks(bus, { lane })).map(task => task.id).sort()).toEqual([...ids].sort());
    await cancelTask(bus, ids[0] ?? '', 'op');
    expect((await listTasks(bus, { lane, states: ['cancelled'] })).map(task => task.id)).toEqual([ids[0]]);
  });

  test('a list of open tasks leaves out those that are over, in whatever order their ends were written', async () => {
    const { capabilities, lane } = ownLane();
    const ids = [newTaskId(), newTaskId(), newTaskId()] as const;
    for (const id of ids) await publishTask(bus, { id, capabilities }, 'alice');
    await cancelTask(bus, ids[0], 'op');
    // Another client's, whose first field is not the type.
    const { type, ...entry } = JSON.parse(
      Buffer.from((await bus.streams.last(JOURNAL, `journal.task.${ids[0]}.>`))?.bytes ?? []).toString(),
    );
    entry.task.id = ids[1];
    await bus.streams.write(`journal.task.${ids[1]}.cancelled.other`, encode({ ...entry, type }));
    expect((await listTasks(bus, { lane, states: ['queued'] })).map(task => task.id)).toEqual([ids[2]]);
  });

  test('whoever reads a long list holds up nobody else in the process', async () => {
    const chunk = { at: new Date().toISOString(), stream: 'log', lines: ['x'], dropped: 0 };
    await Promise.all(
      Array.from({ length: 900 }, () => bus.streams.write('output.long-list.1.w1', encode(chunk))),
    );
    let [read, readInTurn, longest] = [0, 0, 0];
    const nextTurn = () => {
      readInTurn = 0;
      turn = setImmediate(nextTurn);
    };
    let turn = setImmediate(nextTurn);
    for await (const _ of bus.streams.range(OUTPUT, { filter: 'output.long-list.>' })) {
      read++;
      longest = Math.max(longest, ++readInTurn);
    }
    clearImmediate(turn);
    expect([read, longest <= 100]).toEqual([900, true]);
  });

  test('whoever publishes and waits gets the end, also of a task that has the id already', async () => {
    const { capabilities, lane } = ownLane();
    const signal = AbortSignal.timeout(30_000);
    await bus.lanes.ensure('medium', lane);
    const spec = { id: 'wait-1', capabilities };
    const [first, second] = [1, 2].map(() => publishAndWait(bus, spec, 'alice', signal));
    await (await nextAttempt(bus, 'w1', lane)).done('result');
    expect(await first).toMatchObject({ id: 'wait-1', state: 'done', result: 'result' });
    expect(await second).toEqual(await first);
    expect(await publishAndWait(bus, spec, 'bob', signal)).toEqual(await first);
  });

  test('an event that somebody made up ends no wait', async () => {
    const { capabilities, lane } = ownLane();
    await bus.lanes.ensure('medium', lane);
    const ended = publishAndWait(bus, { id: 'wait-2', capabilities }, 'alice', AbortSignal.timeout(30_000));
    const attempt = await nextAttempt(bus, 'w1', lane);
    const other = await connect({ servers: nats.url });
    // The first one there is, which is another task's.
    const header = headers();
    header.set('Nats-Sequence', '1');
    other.publish('events.task.wait-2.done.w1', '{}', { headers: header });
    other.publish('events.task.wait-2.done.w1', '{}');
    await other.flush();
    await attempt.done('real');
    expect(await ended).toMatchObject({ state: 'done', result: 'real' });
    await other.close();
  });

  test('a wait that is given up throws why, and the task goes on', async () => {
    const { capabilities } = ownLane();
    const signal = AbortSignal.timeout(50);
    await expect(publishAndWait(bus, { id: 'wait-3', capabilities }, 'alice', signal)).rejects.toMatchObject({
      code: 'timeout',
    });
    expect((await getTask(bus, 'wait-3')).state).toBe('queued');
  });

  test('whoever waits for what cannot be an id is told so before anything is subscribed to', async () => {
    const wrong = publishAndWait(bus, { id: 'a b' }, 'alice', AbortSignal.timeout(1_000));
    await expect(wrong).rejects.toMatchObject({ code: 'usage', message: expect.stringMatching(/^id "a b"/) });
  });

  test('what is no entry is no open task, and an end is one however it is written', async () => {
    const before = new Date(Date.now() + 60_000);
    await publishTask(bus, { id: 'open-1' }, 'alice');
    await publishTask(bus, { id: 'open-2' }, 'alice');
    const queued = await bus.streams.last(JOURNAL, 'journal.task.open-2.>');
    const { type: _, ...entry } = decode(queued?.bytes ?? new Uint8Array()) as {
      type: string;
      task: object;
    };
    Object.assign(entry.task, { state: 'cancelled' });
    // Another client's, whose first field is not the type.
    await bus.streams.write('journal.task.open-2.cancelled.other', encode({ ...entry, type: 'cancelled' }));
    await bus.streams.write('journal.task.open-3.done.me', Buffer.from('garbage'));
    await bus.streams.write('journal.task.open-4.claimed.me', Buffer.from('{"type":"claimed","at":"now"'));
    const open = await openSince(bus, before, AbortSignal.timeout(30_000));
    expect(open.filter(id => id.startsWith('open-'))).toEqual(['open-1']);
  });

  test('what orch writes is canonical, so it is read without parsing', async () => {
    const { capabilities, lane } = ownLane();
    await publishTask(bus, { id: 'canonical-1', capabilities, labels: { a: 'b' }, input: 1 }, 'alice');
    const message = await bus.streams.last(TASKS, anyTaskSubject('canonical-1'));
    expect(isCanonicalMessage(decode(message?.bytes ?? new Uint8Array()))).toBe(true);
    await (await nextAttempt(bus, 'w1', lane)).done('result');
    const entries = [];
    for await (const { bytes } of bus.streams.range(JOURNAL, { filter: 'journal.task.canonical-1.>' }))
      entries.push(decode(bytes));
    expect(entries.map(isCanonicalEntry)).toEqual([true, true, true]);
  });

  test('a reading at leisure ends when whoever reads stops', async () => {
    await publishTask(bus, {}, 'alice');
    const stopped = new Error('stopped');
    await expect(openSince(bus, new Date(), AbortSignal.abort(stopped))).rejects.toBe(stopped);
    await expect(unservableTasks(bus, AbortSignal.abort(stopped))).rejects.toBe(stopped);
  });

  test('a foreign line in the journal ends no list', async () => {
    await bus.streams.write('journal.task.foreign.done.me', Buffer.from('garbage'));
    await expect(listTasks(bus)).resolves.toBeInstanceOf(Array);
    expect((await bus.streams.last(JOURNAL, 'journal.task.foreign.>'))?.bytes).toBeDefined();
    await expect(lastEntry(bus, 'foreign')).rejects.toMatchObject({ code: 'usage' });
  });
});
