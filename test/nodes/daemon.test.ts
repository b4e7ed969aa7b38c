// Nodes as they come, go, and are told what to do.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { askNode, lookAtNode, lookAtNodes } from '../../src/nodes/index.ts';
import { AGENTS, bucketSubject, decode, encode, NODES } from '../../src/protocol/index.ts';
import { getTask, waitForTask } from '../../src/tasks/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { entriesOf, refusal, startDaemon, startNode, typesOf, unique } from '../support/node.ts';
import { publishTask } from '../support/tasks.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

describe('a node', () => {
  test('is seen as what it is while it is there, and its key is gone the moment it leaves', async () => {
    const node = await startNode(nats, {
      capabilities: ['rust', 'gpu'],
      concurrency: 3,
      labels: { rack: '7' },
    });
    const { presence, record, answer } = await lookAtNode(bus, node.node);
    expect(presence).toBe('live');
    expect(answer).toBeDefined();
    expect(record).toMatchObject({
      id: node.node,
      capabilities: ['gpu', 'rust'],
      labels: { rack: '7' },
      capacity: { maxWorkers: 3, currentWorkers: 0 },
      protocol: { min: 1, max: 1 },
      state: 'ready',
      pid: process.pid,
    });
    // Real figures: this machine has used some of its memory, and not all of it.
    expect(record?.metrics.memoryPercent).toBeGreaterThan(0);
    expect(record?.metrics.memoryPercent).toBeLessThan(100);
    await node.stop();
    expect((await bus.buckets.open(NODES).get(node.node)).value).toBeUndefined();
    expect(await typesOf(bus, node.node)).toEqual(['online', 'offline']);
    expect((await lookAtNode(bus, node.node)).presence).toBe('offline');
  });

  test('whose server goes away while it starts is there once the server is back', async () => {
    const link = await Link.to(nats.url);
    const on = await nats.bus({ servers: [link.url], timeoutMs: 500 });
    link.cut();
    const warned: string[] = [];
    const warn = (_fields: object, message: string) => void warned.push(message);
    const starting = startDaemon(on, {
      node: unique('n'),
      handler: () => 'ok',
      logger: { debug() {}, info() {}, warn, error() {} },
    });
    await until('it to say that it tries on', () =>
      warned.some(message => message.includes('cannot start yet')),
    );
    link.heal();
    const started = await starting;
    expect((await lookAtNode(bus, started.node)).presence).toBe('live');
    await started.stop(0);
    await link[Symbol.asyncDispose]();
  });

  test('keeps its key as long as it lives', async () => {
    await using node = await startNode(nats);
    const first = await bus.buckets.open(NODES).get(node.node);
    await until(
      'several heartbeats',
      async () => (await bus.buckets.open(NODES).get(node.node)).revision > first.revision + 4,
    );
    expect(await typesOf(bus, node.node)).toEqual(['online']);
  });

  test('is heard of however busy it is, and not more often for it', async () => {
    const cap = unique('cap');
    await using node = await startNode(nats, { capabilities: [cap], concurrency: 4, heartbeatMs: 300 });
    const first = node.presence.beats;
    let published = 0;
    // Tasks begin and end all the time, and each is a change of what the node says.
    await until('some heartbeats', async () => {
      await Promise.all(Array.from({ length: 8 }, () => publishTask(bus, { capabilities: [cap] })));
      published += 8;
      return node.presence.beats - first >= 5;
    });
    expect(published).toBeGreaterThan(10 * (node.presence.beats - first));
    expect(await typesOf(bus, node.node)).toEqual(['online']);
  });

  test('whose id is taken does not start, and says where the other runs', async () => {
    await using first = await startNode(nats);
    const error = await refusal(startNode(nats, { node: first.node }));
    expect(error).toMatchObject({ code: 'conflict' });
    expect(error?.message).toContain(`process ${process.pid}`);
    expect((await lookAtNode(bus, first.node)).presence).toBe('live');
  });

  test('of two that start at the same moment with one id exactly one does', async () => {
    const id = unique('twin');
    const started = await Promise.allSettled([startNode(nats, { node: id }), startNode(nats, { node: id })]);
    const winners = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
    expect(winners).toHaveLength(1);
    await winners[0]?.stop(0);
  });

  test('whose dead predecessor’s key expires while it is looked for starts', async () => {
    await using living = await startNode(nats);
    const { value } = await bus.buckets.open(NODES).get(living.node);
    const record = decode(value ?? new Uint8Array()) as object;
    const id = unique('heir');
    const bucket = bus.buckets.open(NODES);
    const dead = encode({ ...record, id, incarnation: 'dead' });
    const put = await bucket.put(id, dead, { revision: 0, ttlMs: 60_000 });
    if (put.kind !== 'stored') throw new Error('the key is taken');
    const client = await connect({ servers: nats.url });
    let gone: Promise<unknown> | undefined;
    client.subscribe(`$JS.API.STREAM.MSG.GET.${NODES}`, {
      callback: (_error, msg) => {
        if (msg.string().includes(id)) gone ??= bucket.delete(id, { revision: put.revision });
      },
    });
    await client.flush();
    await using heir = await startNode(nats, { node: id });
    await gone;
    await client.close();
    expect((await lookAtNode(bus, heir.node)).presence).toBe('live');
  });

  test('that was given up and is heard of again is the same incarnation, and says so', async () => {
    await using node = await startNode(nats);
    const key = await bus.buckets.open(NODES).get(node.node);
    const { incarnation } = decode(key.value ?? new Uint8Array()) as { incarnation: string };
    // Its key goes as if it had been silent, and somebody says that it is lost.
    await bus.streams.purge(NODES, bucketSubject(NODES, node.node));
    const online = (await entriesOf(bus, node.node)).at(-1);
    const lost = { ...online, type: 'lost', actor: 'test', nonce: 'test' };
    await bus.streams.write(`journal.node.${node.node}.lost.test`, encode(lost));
    const lines = await until('it to be back', async () => {
      const written = await entriesOf(bus, node.node);
      return written.length >= 3 && written;
    });
    expect(lines.map(({ type }) => type)).toEqual(['online', 'lost', 'online']);
    expect(lines[2]).toMatchObject({ returned: true, node: { incarnation } });
  });

  test('whose id was taken while it was away ends', async () => {
    await using node = await startNode(nats);
    const { value } = await bus.buckets.open(NODES).get(node.node);
    const record = decode(value ?? new Uint8Array()) as object;
    const subject = bucketSubject(NODES, node.node);
    await bus.streams.write(subject, encode({ ...record, incarnation: 'other', host: 'elsewhere', pid: 7 }));
    const error = await node.taken;
    expect(error.code).toBe('conflict');
    expect(error.message).toContain('elsewhere');
    // What is said of the id is the other's to say.
    await node.stop();
    expect(await typesOf(bus, node.node)).toEqual(['online']);
    expect(decode((await bus.buckets.open(NODES).get(node.node)).value ?? new Uint8Array())).toMatchObject({
      incarnation: 'other',
    });
  });

  test('is a micro service that answers ping, info and stats', async () => {
    await using node = await startNode(nats);
    const nc = await connect({ servers: nats.url });
    try {
      const answers: Record<string, unknown>[] = [];
      for (const verb of ['PING', 'INFO', 'STATS']) {
        for await (const msg of await nc.requestMany(`$SRV.${verb}.orch-node`, '', {
          maxWait: 500,
          strategy: 'stall',
        }))
          answers.push(msg.json<Record<string, unknown>>());
      }
      const own = answers.filter(({ metadata }) => (metadata as { node?: string })?.node === node.node);
      expect(own.map(({ type }) => type)).toEqual([
        'io.nats.micro.v1.ping_response',
        'io.nats.micro.v1.info_response',
        'io.nats.micro.v1.stats_response',
      ]);
      // All nodes answer what is asked of all: each endpoint has a queue group of its own.
      const info = own[1] as { endpoints: { name: string; queue_group: string }[] };
      expect(info.endpoints.find(({ name }) => name === 'ping-all')?.queue_group).not.toBe('q');
    } finally {
      await nc.close();
    }
  });
});

describe('what a node is told from afar', () => {
  test('drained it takes no more tasks, and resumed it takes those that waited', async () => {
    const cap = unique('cap');
    await using node = await startNode(nats, { capabilities: [cap] });
    expect(await askNode(bus, node.node, 'drain')).toMatchObject({ node: node.node, state: 'draining' });
    expect((await lookAtNode(bus, node.node)).record?.state).toBe('draining');
    const { id } = await publishTask(bus, { capabilities: [cap] });
    // The pull that was open brings the task once; it is given back.
    await until('the open pull to be used', async () => {
      const lane = (await bus.lanes.list()).find(known => known.lane === cap);
      return lane && lane.waiting + lane.inFlight === 1 && lane.idleWorkers === 0;
    });
    expect((await getTask(bus, id)).state).toBe('queued');
    await askNode(bus, node.node, 'resume');
    expect(await waitForTask(bus, id, AbortSignal.timeout(20_000))).toMatchObject({ state: 'done' });
    expect(await typesOf(bus, node.node)).toEqual(['online', 'draining', 'resumed']);
  });

  test('a drain lets the running task finish for a while and then gives it back', async () => {
    const cap = unique('cap');
    let stopped = 0;
    const handler = (_task: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          stopped++;
          reject(signal.reason);
        }),
      );
    await using node = await startNode(nats, { capabilities: [cap], handler } as never);
    const { id } = await publishTask(bus, { capabilities: [cap] });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    // Asked again, it has the new time.
    await askNode(bus, node.node, 'drain', { timeoutMs: 600_000 });
    await askNode(bus, node.node, 'drain', { timeoutMs: 200 });
    const record = await until('it to be given back', async () => {
      const task = await getTask(bus, id);
      return task.state === 'queued' && task;
    });
    expect(record).toMatchObject({ reason: 'drain', forgiven: 1 });
    expect(stopped).toBe(1);
    expect((await lookAtNode(bus, node.node)).record).toMatchObject({
      state: 'draining',
      capacity: { currentWorkers: 0 },
    });
  });

  test('a node that is not there is not found, with the nearest name', async () => {
    await using node = await startNode(nats, { node: unique('builder') });
    const error = await refusal(askNode(bus, node.node.replace('b', 'p'), 'drain'));
    expect(error).toMatchObject({ code: 'not_found', advice: `did you mean "${node.node}"?` });
  });

  test('nonsense is refused with what is allowed, and the node goes on', async () => {
    await using node = await startNode(nats);
    expect(await refusal(askNode(bus, node.node, 'drain', { timeoutMs: -1 }))).toMatchObject({
      code: 'usage',
    });
    expect((await askNode(bus, node.node, 'ping')).state).toBe('ready');
  });
});

describe('a bucket', () => {
  test('lists each key once, however often it is written while the list is read', async () => {
    const bucket = bus.buckets.open(AGENTS);
    const value = encode({ not: 'an agent' });
    const keys = Array.from({ length: 1_500 }, (_, i) => `listed-${i}`);
    const revisions = await Promise.all(
      keys.map(async key => {
        const put = await bucket.put(key, value, { revision: 0, ttlMs: 60_000 });
        return put.kind === 'stored' ? put.revision : 0;
      }),
    );
    let isListing = true;
    const writing = (async () => {
      for (let i = 0; isListing; i = (i + 1) % keys.length) {
        const put = await bucket.put(keys[i] ?? '', value, { revision: revisions[i] ?? 0, ttlMs: 60_000 });
        if (put.kind === 'stored') revisions[i] = put.revision;
      }
    })();
    for (let list = 0; list < 5; list++) {
      const listed = (await bucket.list()).map(({ key }) => key).filter(key => key.startsWith('listed-'));
      expect(listed).toHaveLength(keys.length);
      expect(new Set(listed).size).toBe(keys.length);
    }
    isListing = false;
    await writing;
    await bus.streams.purge(AGENTS, '$KV.orch-agents.>');
  });

  test('that is full says so, which is not that somebody else wrote', async () => {
    const nc = await connect({ servers: nats.url });
    try {
      const manager = await jetstreamManager(nc);
      await manager.streams.add({
        name: 'KV_full',
        subjects: ['$KV.full.>'],
        max_bytes: 600,
        discard: 'new' as never,
        max_msgs_per_subject: 1,
        allow_msg_ttl: true,
      });
      const small = await nats.bus({ timeoutMs: 1_000 });
      const value = new Uint8Array(300);
      expect(
        await small.buckets.open('KV_full').put('a', value, { revision: 0, ttlMs: 60_000 }),
      ).toMatchObject({
        kind: 'stored',
      });
      const error = await refusal(
        small.buckets.open('KV_full').put('b', value, { revision: 0, ttlMs: 60_000 }),
      );
      expect(error).toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('maximum bytes exceeded'),
      });
    } finally {
      await nc.close();
    }
  });
});

describe('records that are not of this orch', () => {
  const put = (id: string, value: unknown) =>
    bus.streams.write(
      bucketSubject(NODES, id),
      typeof value === 'string' ? Buffer.from(value) : encode(value),
      {
        headers: { 'Nats-TTL': '60s' },
      },
    );
  const startedAt = new Date().toISOString();

  test('a corrupt one is shown as corrupt and breaks nothing', async () => {
    await using node = await startNode(nats);
    const [garbage, wrong] = [unique('corrupt'), unique('corrupt')];
    await put(garbage, '{not json');
    await put(wrong, { id: wrong, protocol: { min: 1, max: 1 }, incarnation: 7, startedAt });
    const views = await lookAtNodes(bus);
    expect(views.find(({ id }) => id === garbage)).toMatchObject({ presence: 'corrupt' });
    expect(views.find(({ id }) => id === wrong)).toMatchObject({
      presence: 'corrupt',
      why: expect.stringContaining('incarnation'),
    });
    expect(views.find(({ id }) => id === node.node)).toMatchObject({ presence: 'live' });
  });

  test('one of a newer minor version is read, and what is not known is kept', async () => {
    const id = unique('newer');
    await put(id, {
      id,
      incarnation: 'i',
      startedAt,
      protocol: { min: 1, max: 2, draft: 3 },
      orbit: { height: 400 },
    });
    const view = (await lookAtNodes(bus)).find(known => known.id === id);
    expect(view?.record).toMatchObject({ protocol: { max: 2, draft: 3 }, orbit: { height: 400 } });
    // Nobody answers for it.
    expect(view?.presence).toBe('silent');
  });

  test.each([
    ['an older', { min: 0, max: 0 }],
    ['a newer', { min: 7, max: 9 }],
  ])('%s protocol without overlap is incompatible: there, and without tasks', async (_name, protocol) => {
    const cap = unique('cap');
    const messages: string[] = [];
    const log = (_fields: object, message: string) => void messages.push(message);
    const logger = { debug() {}, info() {}, warn() {}, error: log };
    await using stranger = await startNode(nats, {
      capabilities: [cap],
      protocol,
      logger,
    });
    const view = await lookAtNode(bus, stranger.node);
    expect(view.presence).toBe('incompatible');
    expect(view.why).toContain(`${protocol.min}-${protocol.max}`);
    expect(messages.join()).toContain('takes no tasks');
    await using today = await startNode(nats, { capabilities: [cap] });
    const { id } = await publishTask(bus, { capabilities: [cap] });
    expect((await waitForTask(bus, id, AbortSignal.timeout(20_000))).node).toBe(today.node);
    // A request in our protocol is refused, not misread.
    expect(await refusal(askNode(bus, stranger.node, 'ping'))).toMatchObject({ code: 'unsupported' });
  });
});
