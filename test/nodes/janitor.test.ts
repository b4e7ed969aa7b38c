// The chores of the cluster, and the lease by which one node does them.
import { connect } from '@nats-io/transport-node';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import {
  foreignLanes,
  giveBack,
  Janitor,
  lostNodes,
  missingMessages,
  oldBoard,
  unservable,
} from '../../src/daemon/chores/index.ts';
import { type Chore, Daemon, silent } from '../../src/daemon/index.ts';
import { publishTask } from '../../src/index.ts';
import { Lease, readLease, type Tenure } from '../../src/leases/index.ts';
import { appendNodeEntry, lastNodeEntry } from '../../src/nodes/index.ts';
import {
  BOARD,
  encode,
  JOURNAL,
  LEASES,
  type LeaseRecord,
  NodeRecord,
  TASKS,
} from '../../src/protocol/index.ts';
import {
  cancelTask,
  flagService,
  getTask,
  listTasks,
  taskHistory,
  unclaimedRecord,
  waitForTask,
} from '../../src/tasks/index.ts';
import { nextAttempt, nextDelivery } from '../support/lane.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { newRecord } from '../support/record.ts';
import { until } from '../support/wait.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setting(options: { leaseMs?: number } = {}): Promise<{ nats: TestNats; bus: Bus }> {
  const nats = await TestNats.start(options);
  cleanups.push(() => nats[Symbol.asyncDispose]());
  return { nats, bus: await nats.bus() };
}

/** A janitor that does some chores every 100 ms. */
function janitor(bus: Bus, chores: readonly Chore[], node = 'janitor'): Janitor {
  const started = new Janitor(bus, {
    holder: { node, incarnation: node },
    chores: chores.map(chore => ({ ...chore, everyMs: 100 })),
    logger: silent,
    healthyForMs: () => Number.POSITIVE_INFINITY,
    leaseTtlMs: 2_000,
  });
  started.start();
  cleanups.push(() => started.stop());
  return started;
}

const doneOf = (of: Janitor, chore: Chore) => of.counts.get(chore.name)?.done ?? 0;
const roundsOf = (of: Janitor, chore: Chore) => of.counts.get(chore.name)?.rounds ?? 0;

async function entries(bus: Bus, filter: string): Promise<string[]> {
  const subjects: string[] = [];
  for await (const { subject } of bus.streams.range(JOURNAL, { filter })) subjects.push(subject);
  return subjects;
}

const nodeRecord = (id: string, fields: Partial<NodeRecord> = {}): NodeRecord =>
  NodeRecord.parse({
    id,
    incarnation: `${id}-1`,
    protocol: { min: 1, max: 1 },
    startedAt: new Date().toISOString(),
    expiryMs: 1_000,
    heartbeatMs: 300,
    ...fields,
  });

describe('the lease', () => {
  const record = (node: string): LeaseRecord => ({
    node,
    incarnation: node,
    since: new Date().toISOString(),
    chores: {},
  });
  const until1 = (tenure: Tenure) =>
    new Promise<void>(resolve => tenure.signal.addEventListener('abort', () => resolve(), { once: true }));

  test('has one holder at a time, and passes on at once when it is given back', async () => {
    const { nats } = await setting();
    let [holders, most, tenures] = [0, 0, 0];
    const revisions: number[] = [];
    const start = async (node: string) => {
      const lease = new Lease(await nats.bus(), {
        name: 'test',
        record: () => record(node),
        ttlMs: 4_000,
        onError: () => {},
        work: async tenure => {
          most = Math.max(most, ++holders);
          tenures++;
          revisions.push(tenure.revision);
          await until1(tenure);
          holders--;
        },
      });
      lease.start();
      cleanups.push(() => lease.stop());
      return lease;
    };
    const leases = await Promise.all(['a', 'b', 'c'].map(start));
    for (let round = 1; round <= 3; round++) {
      const holder = await until('somebody to hold it', () => leases.find(lease => lease.isHeld));
      await holder.stop();
      leases.splice(leases.indexOf(holder), 1);
    }
    expect({ most, tenures }).toEqual({ most: 1, tenures: 3 });
    // The fence: each later holder has a higher revision.
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });

  test('that is held by something that cannot be read is nobody’s', async () => {
    const { bus } = await setting();
    const bucket = bus.buckets.open(LEASES);
    await bus.streams.write('$KV.orch-leases.test', Buffer.from('junk'));
    const lease = new Lease(bus, {
      name: 'test',
      record: () => record('a'),
      ttlMs: 3_000,
      onError: () => {},
      work: until1,
    });
    lease.start();
    cleanups.push(() => lease.stop());
    await until('it to be held', () => lease.isHeld);
    expect((await bucket.get('test')).value).not.toEqual(Buffer.from('junk'));
  });

  test('is let go by a holder that is cut off before another takes it', async () => {
    const { nats, bus } = await setting();
    const link = await Link.to(nats.url);
    cleanups.push(() => link[Symbol.asyncDispose]());
    const log: string[] = [];
    const start = (node: string, on: Bus) => {
      const lease = new Lease(on, {
        name: 'test',
        record: () => record(node),
        ttlMs: 3_000,
        onError: () => {},
        work: async tenure => {
          log.push(`${node} begins`);
          await until1(tenure);
          log.push(`${node} ends`);
        },
      });
      lease.start();
      cleanups.push(() => lease.stop());
      return lease;
    };
    const a = start('a', await nats.bus({ servers: [link.url] }));
    await until('a to hold it', () => a.isHeld);
    const b = start('b', bus);
    link.cut();
    await until('b to hold it', () => b.isHeld);
    expect(log).toEqual(['a begins', 'a ends', 'b begins']);
    // What a sent while it was cut off is worth nothing.
    link.heal();
    await until('b to have renewed', async () => (await readLease(bus, 'test'))?.node === 'b');
    expect(a.isHeld).toBe(false);
  });
});

describe('chores', () => {
  test('are done by one of many, and by the next when that one is gone', async () => {
    const { bus, nats } = await setting();
    const janitors = await Promise.all(
      ['a', 'b', 'c'].map(async node => janitor(await nats.bus(), [foreignLanes], node)),
    );
    const first = await until('one to do them', () => janitors.find(({ isHolder }) => isHolder));
    await until('some rounds', () => roundsOf(first, foreignLanes) > 3);
    expect(janitors.filter(({ isHolder }) => isHolder)).toHaveLength(1);
    await first.stop();
    const others = janitors.filter(other => other !== first);
    const second = await until('another to do them', () => others.find(({ isHolder }) => isHolder));
    await until('some rounds', () => roundsOf(second, foreignLanes) > 3);
    expect((await bus.buckets.open(LEASES).list()).map(({ key }) => key)).toEqual(['chores']);
  });

  test('that fail are counted with their reason and tried again, and the others go on', async () => {
    const { bus } = await setting();
    let tries = 0;
    const failing: Chore = {
      name: 'failing',
      everyMs: 100,
      begin: () => ({
        round: async () => {
          tries++;
          if (tries < 3) throw new Error('the reason');
          return 1;
        },
      }),
    };
    const running = janitor(bus, [failing, foreignLanes]);
    await until('a failure', () => running.counts.get('failing')?.failures === 2);
    expect(running.counts.get('failing')).toMatchObject({ error: 'the reason' });
    await until('it to succeed', () => doneOf(running, failing) > 0);
    expect(running.counts.get('failing')?.failures).toBe(0);
    expect(roundsOf(running, foreignLanes)).toBeGreaterThan(0);
  });

  test('a node whose key expired is lost, said once by however many notice', async () => {
    const { bus, nats } = await setting();
    await appendNodeEntry(bus, { type: 'online', node: nodeRecord('gone') }, 'gone', { fence: 0 });
    // Three that believe to hold the lease, at the same moment.
    const contexts = await Promise.all(
      ['a', 'b', 'c'].map(async actor => ({
        bus: await nats.bus(),
        actor,
        tenure: {
          signal: new AbortController().signal,
          revision: 1,
          remainingMs: 9_999,
          check() {},
        } as unknown as Tenure,
        logger: silent,
        healthyForMs: () => Number.POSITIVE_INFINITY,
      })),
    );
    const rounds = contexts.map(context => lostNodes.begin(context, () => {}));
    const done = await Promise.all(rounds.map(({ round }) => round()));
    expect(done.reduce((sum, count) => sum + count)).toBe(1);
    expect(await entries(bus, 'journal.node.gone.lost.>')).toHaveLength(1);
  });

  test('nobody is lost to a janitor that was not heard itself', async () => {
    const { bus } = await setting();
    await appendNodeEntry(bus, { type: 'online', node: nodeRecord('quiet') }, 'quiet', { fence: 0 });
    const unheard = new Janitor(bus, {
      holder: { node: 'j', incarnation: 'j' },
      chores: [{ ...lostNodes, everyMs: 50 }],
      logger: silent,
      healthyForMs: () => 500,
    });
    unheard.start();
    cleanups.push(() => unheard.stop());
    await until('a few rounds', () => roundsOf(unheard, lostNodes) > 5);
    expect((await lastNodeEntry(bus, 'quiet'))?.type).toBe('online');
  });

  test('the tasks of a lost node are given back at once, and those of others are not', async () => {
    // A lease that nobody waits for.
    const { bus } = await setting({ leaseMs: 600_000 });
    const running = janitor(bus, [giveBack]);
    const tasks = await Promise.all([publishTask(bus, {}), publishTask(bus, {}), publishTask(bus, {})]);
    const held = [
      await nextAttempt(bus, 'dead'),
      await nextAttempt(bus, 'dead'),
      await nextAttempt(bus, 'alive'),
    ];
    expect(tasks).toHaveLength(3);
    const online = await appendNodeEntry(bus, { type: 'online', node: nodeRecord('dead') }, 'dead', {
      fence: 0,
    });
    if (online.kind !== 'written') throw new Error('not online');
    await appendNodeEntry(bus, { type: 'lost', node: nodeRecord('dead') }, 'j', { fence: online.seq });
    await until('both to be given back', () => doneOf(running, giveBack) === 2);
    const again = [await nextDelivery(bus), await nextDelivery(bus)];
    const id = (subject: string) => subject.split('.').at(-1);
    expect(again.map(({ subject }) => id(subject)).sort()).toEqual([held[0]?.id, held[1]?.id].sort());
    expect(again.map(({ deliveryCount }) => deliveryCount)).toEqual([2, 2]);
    expect((await bus.lanes.list())[0]).toMatchObject({ waiting: 0, inFlight: 3 });
  });

  test('a lane that a foreign client published to is made, and its task is run', async () => {
    const { bus, nats } = await setting();
    const running = janitor(bus, [foreignLanes]);
    const nc = await connect({ servers: nats.url });
    nc.publish('tasks.medium.foreign.f-1', JSON.stringify({ input: 'x' }));
    await nc.flush();
    await until('the lane', async () => (await bus.lanes.list()).some(({ lane }) => lane === 'foreign'));
    expect((await nextAttempt(bus, 'w', 'foreign')).id).toBe('f-1');
    expect(doneOf(running, foreignLanes)).toBe(1);
    await nc.close();
  });

  test.each([
    ['a priority that does not exist', 'tasks.urgent.any.bad-1'],
    ['a lane that is not in its one form', 'tasks.medium.rust+freebsd.bad-1'],
  ])('a message with %s ends as invalid, and what it was is kept', async (_what, subject) => {
    const { bus, nats } = await setting();
    janitor(bus, [foreignLanes]);
    const nc = await connect({ servers: nats.url });
    nc.publish(subject, JSON.stringify({ input: 'x' }));
    await nc.flush();
    await until(
      'it to fail',
      async () => (await getTask(bus, 'bad-1').catch(() => undefined))?.state === 'failed',
    );
    expect((await getTask(bus, 'bad-1')).reason).toBe('invalid');
    await until('the queue to be empty', async () => (await bus.streams.messageCount(TASKS)) === 0);
    expect(await bus.streams.subjects('ORCH_DEAD', 'dead.>')).toEqual(['dead.bad-1']);
    await nc.close();
  });

  test('an entry whose message never came is given up, and publishing the id again completes it', async () => {
    const { bus } = await setting();
    const { id } = await publishTask(bus, { id: 'half', input: 'x' });
    await bus.streams.purge(TASKS, 'tasks.>');
    janitor(bus, [missingMessages(500)]);
    await until('it to be given up', async () => (await getTask(bus, id)).state === 'failed');
    expect((await getTask(bus, id)).reason).toBe('unpublished');
    expect(await publishTask(bus, { id, input: 'x' })).toMatchObject({ created: true, state: 'queued' });
    expect((await nextAttempt(bus, 'w')).id).toBe(id);
    expect((await taskHistory(bus, id)).map(({ type }) => type)).toEqual([
      'queued',
      'failed',
      'requeued',
      'claimed',
    ]);
  });

  test('an id that was given up and published again is run, however soon its message is claimed', async () => {
    const { bus, nats } = await setting();
    const node = new Daemon(await nats.bus(), {
      node: 'racer',
      runner: async () => ({ kind: 'done' }),
      chores: [],
    });
    await node.start();
    cleanups.push(() => node.stop(0));
    for (let i = 0; i < 20; i++) {
      const task = { ...newRecord({ id: `again-${i}` }), reason: 'unpublished', error: 'no message' };
      const entry = (type: string) => encode({ type, at: task.updatedAt, actor: 'op', nonce: type, task });
      await bus.streams.write(`journal.task.${task.id}.queued.op.medium_any`, entry('queued'));
      task.state = 'failed';
      await bus.streams.write(`journal.task.${task.id}.failed.op`, entry('failed'));
      expect((await publishTask(bus, { id: task.id })).created).toBe(true);
      expect((await waitForTask(bus, task.id, AbortSignal.timeout(5_000))).state).toMatch(/done|failed/);
      await until('it to be done', async () => (await getTask(bus, task.id)).state === 'done', 5_000);
    }
  });

  test('a flag that is written before the publisher’s own entry does not cost the task', async () => {
    const { bus, nats } = await setting();
    const slow = await nats.bus();
    const write = slow.streams.write.bind(slow.streams);
    slow.streams.write = async (subject, ...rest) => {
      if (subject.includes('.queued.')) {
        await until('the flag', async () => {
          const fresh = await unclaimedRecord(bus, 'flagged');
          return fresh && flagService(bus, 'flagged', false, () => fresh, 'janitor');
        });
      }
      return write(subject, ...rest);
    };
    expect(await publishTask(slow, { id: 'flagged', capabilities: ['rare'] })).toMatchObject({
      created: true,
      state: 'queued',
    });
    expect((await nextAttempt(bus, 'w', 'rare')).id).toBe('flagged');
  });

  test('a retry that died half-way is completed', async () => {
    const { bus } = await setting();
    const { id } = await publishTask(bus, { input: 'kept', maxAttempts: 1 });
    const attempt = await nextAttempt(bus, 'w');
    await attempt.fail({ reason: 'error', error: 'no' });
    const failed = await until('it to be a dead letter', async () => {
      const history = await taskHistory(bus, id);
      return history.at(-1)?.type === 'failed' && history.at(-1);
    });
    const task = { ...failed.task, state: 'queued', forgiven: failed.task.attempt };
    const entry = { type: 'requeued', at: new Date().toISOString(), actor: 'op', nonce: 'n', task };
    await bus.streams.write(`journal.task.${id}.requeued.op`, encode(entry));
    janitor(bus, [missingMessages(100)]);
    const again = await until('it to be in the queue', () => nextAttempt(bus, 'w').catch(() => undefined));
    expect(again).toMatchObject({ id, input: 'kept' });
  });

  test('a running task whose message vanished is left to its holder, and ended where there is none', async () => {
    const { bus } = await setting();
    const { id } = await publishTask(bus, {});
    await nextAttempt(bus, 'nobody');
    await bus.streams.purge(TASKS, 'tasks.>');
    janitor(bus, [missingMessages(100)]);
    await until('it to be given up', async () => (await getTask(bus, id)).state === 'failed');
    expect((await getTask(bus, id)).reason).toBe('message-lost');
  });

  test('a task that no live node can serve is flagged once, and again when that is over', async () => {
    const { bus, nats } = await setting();
    const running = janitor(bus, [unservable]);
    const { id } = await publishTask(bus, { capabilities: ['rare'] });
    await until('it to be flagged', async () => (await getTask(bus, id)).unservableSince !== undefined);
    await until('more rounds', () => roundsOf(running, unservable) > 5);
    // It can still be claimed, and cancelled, like any other; here a node comes that is paused at first.
    const node = new Daemon(await nats.bus(), {
      node: 'able',
      capabilities: ['rare'],
      runner: async () => ({ kind: 'done' }),
      chores: [],
    });
    await publishTask(bus, { id: 'second', capabilities: ['rare'] });
    await until(
      'the second to be flagged',
      async () => (await getTask(bus, 'second')).unservableSince !== undefined,
    );
    await node.start();
    cleanups.push(() => node.stop(0));
    await until('both to be done', async () => (await listTasks(bus)).every(({ state }) => state === 'done'));
    expect(
      (await taskHistory(bus, id)).map(({ type }) => type).filter(type => type === 'unservable'),
    ).toHaveLength(1);
    expect((await getTask(bus, id)).unservableSince).toBeUndefined();
  });

  test('a flagged task that waits on is unflagged when a node comes, also by the next janitor', async () => {
    const { bus, nats } = await setting();
    const first = janitor(bus, [unservable], 'first');
    // Due in an hour: nobody claims it meanwhile.
    const notBefore = new Date(Date.now() + 3_600_000).toISOString();
    const { id } = await publishTask(bus, { capabilities: ['rare'], notBefore });
    await until('it to be flagged', async () => (await getTask(bus, id)).unservableSince !== undefined);
    await first.stop();
    const node = new Daemon(await nats.bus(), {
      node: 'able',
      capabilities: ['rare'],
      runner: async () => ({ kind: 'done' }),
      chores: [],
    });
    await node.start();
    cleanups.push(() => node.stop(0));
    janitor(bus, [unservable], 'second');
    await until('it to be unflagged', async () => (await getTask(bus, id)).unservableSince === undefined);
    expect(await getTask(bus, id)).toMatchObject({ state: 'queued', notBefore });
    expect((await taskHistory(bus, id)).map(({ type }) => type)).toEqual([
      'queued',
      'unservable',
      'servable',
    ]);
  });

  test('tasks that ended well leave the board, and not the journal; dead letters stay', async () => {
    const { bus } = await setting();
    const ids = await Promise.all(Array.from({ length: 5 }, async () => (await publishTask(bus, {})).id));
    await Promise.all(ids.map(id => cancelTask(bus, id, 'op')));
    const dead = await publishTask(bus, { maxAttempts: 1 });
    await (await nextAttempt(bus, 'w')).fail({ reason: 'error', error: 'no' });
    await until(
      'the board to have all',
      async () => (await bus.streams.subjects(BOARD, '$KV.orch-board.>')).length === 6,
    );
    janitor(bus, [oldBoard(200)]);
    await until(
      'the board to be short',
      async () => (await bus.streams.subjects(BOARD, '$KV.orch-board.>')).length === 1,
    );
    expect((await listTasks(bus)).map(({ id }) => id)).toEqual([dead.id]);
    expect((await getTask(bus, ids[0] ?? '')).state).toBe('cancelled');
  });
});
