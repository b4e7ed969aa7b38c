// Nodes as they come, go, and are told what to do.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAgents, registerAgent, unregisterAgent } from '../../src/agents/index.ts';
import type { Bus } from '../../src/bus/index.ts';
import { listAgents } from '../../src/cluster/index.ts';
import type { Daemon, DaemonOptions } from '../../src/daemon/index.ts';
import { publishTask, runWorker } from '../../src/index.ts';
import { askNode, lookAtNode, lookAtNodes, type NodeLine, readNodeEntry } from '../../src/nodes/index.ts';
import {
  AGENTS,
  bucketSubject,
  decode,
  encode,
  JOURNAL,
  NODES,
  type OrchError,
} from '../../src/protocol/index.ts';
import { getTask, waitForTask } from '../../src/tasks/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

let names = 0;
const unique = (prefix: string) => `${prefix}-${++names}`;

/** A node on a connection of its own, stopped at the end of the test. */
async function startNode(options: Partial<DaemonOptions> = {}): Promise<Daemon & AsyncDisposable> {
  const started = await runWorker(await nats.bus(), {
    node: unique('n'),
    heartbeatMs: 300,
    expiryMs: 1_000,
    handler: () => 'ok',
    ...options,
  } as Parameters<typeof runWorker>[1]);
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.stop(0) });
}

/** What was ever said of a node, oldest first. */
async function saidOf(node: string): Promise<NodeLine[]> {
  const lines: NodeLine[] = [];
  for await (const stored of bus.streams.range(JOURNAL, { filter: `journal.node.${node}.>` }))
    lines.push(readNodeEntry(stored) ?? (Promise.reject(new Error(`unreadable ${stored.subject}`)) as never));
  return lines;
}

const typesOf = (lines: NodeLine[]) => lines.map(({ type }) => type);
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as OrchError,
  );

describe('a node', () => {
  test('is seen as what it is while it is there, and its key is gone the moment it leaves', async () => {
    const node = await startNode({ capabilities: ['rust', 'gpu'], concurrency: 3, labels: { rack: '7' } });
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
    expect(typesOf(await saidOf(node.node))).toEqual(['online', 'offline']);
    expect((await lookAtNode(bus, node.node)).presence).toBe('offline');
  });

  test('whose server goes away while it starts is there once the server is back', async () => {
    const link = await Link.to(nats.url);
    const on = await nats.bus({ servers: [link.url], timeoutMs: 500 });
    link.cut();
    const warned: string[] = [];
    const warn = (_fields: object, message: string) => void warned.push(message);
    const starting = runWorker(on, {
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
    await using node = await startNode();
    const first = await bus.buckets.open(NODES).get(node.node);
    await until(
      'several heartbeats',
      async () => (await bus.buckets.open(NODES).get(node.node)).revision > first.revision + 4,
    );
    expect(typesOf(await saidOf(node.node))).toEqual(['online']);
  });

  test('is heard of however busy it is, and not more often for it', async () => {
    const cap = unique('cap');
    await using node = await startNode({ capabilities: [cap], concurrency: 4, heartbeatMs: 300 });
    const first = node.presence.beats;
    let published = 0;
    // Tasks begin and end all the time, and each is a change of what the node says.
    await until('some heartbeats', async () => {
      await Promise.all(Array.from({ length: 8 }, () => publishTask(bus, { capabilities: [cap] })));
      published += 8;
      return node.presence.beats - first >= 5;
    });
    expect(published).toBeGreaterThan(10 * (node.presence.beats - first));
    expect(typesOf(await saidOf(node.node))).toEqual(['online']);
  });

  test('whose id is taken does not start, and says where the other runs', async () => {
    await using first = await startNode();
    const error = await refusal(startNode({ node: first.node }));
    expect(error).toMatchObject({ code: 'conflict' });
    expect(error?.message).toContain(`process ${process.pid}`);
    expect((await lookAtNode(bus, first.node)).presence).toBe('live');
  });

  test('of two that start at the same moment with one id exactly one does', async () => {
    const id = unique('twin');
    const started = await Promise.allSettled([startNode({ node: id }), startNode({ node: id })]);
    const winners = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
    expect(winners).toHaveLength(1);
    await winners[0]?.stop(0);
  });

  test('whose dead predecessor’s key expires while it is looked for starts', async () => {
    await using living = await startNode();
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
    await using heir = await startNode({ node: id });
    await gone;
    await client.close();
    expect((await lookAtNode(bus, heir.node)).presence).toBe('live');
  });

  test('that was given up and is heard of again is the same incarnation, and says so', async () => {
    await using node = await startNode();
    const key = await bus.buckets.open(NODES).get(node.node);
    const { incarnation } = decode(key.value ?? new Uint8Array()) as { incarnation: string };
    // Its key goes as if it had been silent, and somebody says that it is lost.
    await bus.streams.purge(NODES, bucketSubject(NODES, node.node));
    const online = (await saidOf(node.node)).at(-1);
    const lost = { ...online, type: 'lost', actor: 'test', nonce: 'test' };
    await bus.streams.write(`journal.node.${node.node}.lost.test`, encode(lost));
    const lines = await until('it to be back', async () => {
      const said = await saidOf(node.node);
      return said.length >= 3 && said;
    });
    expect(typesOf(lines)).toEqual(['online', 'lost', 'online']);
    expect(lines[2]).toMatchObject({ returned: true, node: { incarnation } });
  });

  test('whose id was taken while it was away ends', async () => {
    await using node = await startNode();
    const { value } = await bus.buckets.open(NODES).get(node.node);
    const record = decode(value ?? new Uint8Array()) as object;
    const subject = bucketSubject(NODES, node.node);
    await bus.streams.write(subject, encode({ ...record, incarnation: 'other', host: 'elsewhere', pid: 7 }));
    const error = await node.taken;
    expect(error.code).toBe('conflict');
    expect(error.message).toContain('elsewhere');
    // What is said of the id is the other's to say.
    await node.stop();
    expect(typesOf(await saidOf(node.node))).toEqual(['online']);
    expect(decode((await bus.buckets.open(NODES).get(node.node)).value ?? new Uint8Array())).toMatchObject({
      incarnation: 'other',
    });
  });

  test('is a micro service that answers ping, info and stats', async () => {
    await using node = await startNode();
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
    await using node = await startNode({ capabilities: [cap] });
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
    expect(typesOf(await saidOf(node.node))).toEqual(['online', 'draining', 'resumed']);
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
    await using node = await startNode({ capabilities: [cap], handler } as never);
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
    await using node = await startNode({ node: unique('builder') });
    const error = await refusal(askNode(bus, node.node.replace('b', 'p'), 'drain'));
    expect(error).toMatchObject({ code: 'not_found', advice: `did you mean "${node.node}"?` });
  });

  test('nonsense is refused with what is allowed, and the node goes on', async () => {
    await using node = await startNode();
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
    await using node = await startNode();
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
    await using stranger = await startNode({
      capabilities: [cap],
      protocol,
      logger,
    });
    const view = await lookAtNode(bus, stranger.node);
    expect(view.presence).toBe('incompatible');
    expect(view.why).toContain(`${protocol.min}-${protocol.max}`);
    expect(messages.join()).toContain('takes no tasks');
    await using today = await startNode({ capabilities: [cap] });
    const { id } = await publishTask(bus, { capabilities: [cap] });
    expect((await waitForTask(bus, id, AbortSignal.timeout(20_000))).node).toBe(today.node);
    // A request in our protocol is refused, not misread.
    expect(await refusal(askNode(bus, stranger.node, 'ping'))).toMatchObject({ code: 'unsupported' });
  });
});

describe('agents', () => {
  const specs = (text: string) => ({ ownedAgents: parseAgents(text) });

  test('are owned while their node is there, and free the moment that it leaves', async () => {
    const [alice, bob] = [unique('alice'), unique('bob')];
    const node = await startNode(specs(`${alice},${bob}:group=ops`));
    const own = (await listAgents(bus)).filter(({ owner }) => owner === node.node);
    expect(own).toMatchObject([
      { id: alice, visibility: 'isolated', status: 'idle', hasDaemon: true },
      { id: bob, visibility: 'group', group: 'ops' },
    ]);
    await node.stop();
    expect((await listAgents(bus)).filter(({ owner }) => owner === node.node)).toEqual([]);
  });

  test('that two nodes want go to the first; the second runs its others, says so once, and takes over', async () => {
    const [shared, other] = [unique('shared'), unique('other')];
    const first = await startNode(specs(shared));
    await using second = await startNode(specs(`${shared},${other}`));
    expect(second.agents.agents.map(({ id }) => id)).toEqual([other]);
    const conflicts = async () => {
      const subjects: string[] = [];
      for await (const { subject } of bus.streams.range(JOURNAL, {
        filter: `journal.agent.${shared}.conflict.>`,
      }))
        subjects.push(subject);
      return subjects;
    };
    const beats = second.presence.beats;
    await until('a few more tries', () => second.presence.beats > beats + 3);
    expect(await conflicts()).toEqual([`journal.agent.${shared}.conflict.${second.node}`]);
    await first.stop();
    await until('the take-over', () => second.agents.owns(shared));
    expect((await listAgents(bus)).find(({ id }) => id === shared)?.owner).toBe(second.node);
  });

  test('pass to the other side of a split, and are given up before by the one that is cut off', async () => {
    const agent = unique('split');
    const link = await Link.to(nats.url);
    const first = await runWorker(await nats.bus({ servers: [link.url] }), {
      node: unique('n'),
      heartbeatMs: 300,
      expiryMs: 2_000,
      handler: () => 'ok',
      ...specs(agent),
    });
    await using second = await startNode({ ...specs(agent), expiryMs: 2_000 });
    const history: string[] = [];
    const look = () => {
      const owners = [first.agents.owns(agent) && 'first', second.agents.owns(agent) && 'second'];
      const now = owners.filter(Boolean).join('+');
      if (history.at(-1) !== now) history.push(now);
      return now;
    };
    expect(look()).toBe('first');
    link.cut();
    await until('the other side to own it', () => look() === 'second');
    // Never both, and for a moment neither.
    expect(history).toEqual(['first', '', 'second']);
    link.heal();
    await until('the first to be back', async () => {
      look();
      return (await lookAtNode(bus, first.node)).presence === 'live';
    });
    await until('the first to say that it waits', async () => {
      look();
      return (await lookAtNode(bus, first.node)).record?.waitingAgents.includes(agent);
    });
    expect(history).toEqual(['first', '', 'second']);
    expect(typesOf(await saidOf(first.node)).at(0)).toBe('online');
    await first.stop(0);
    await link[Symbol.asyncDispose]();
  });

  test('are put on tasks, and show what they do and how it ended', async () => {
    const [agent, cap] = [unique('worker'), unique('cap')];
    const seen: unknown[] = [];
    let open = () => {};
    const handler = async (task: { id: string; input: unknown }, context: { agent?: string }) => {
      seen.push(context.agent);
      if (task.input === 'wait') {
        await new Promise<void>(resolve => {
          open = resolve;
        });
      }
      if (task.input === 'fail') throw new Error('no');
    };
    await using _ = await startNode({ ...specs(agent), capabilities: [cap], handler } as never);
    const status = async () => (await listAgents(bus)).find(({ id }) => id === agent);
    const { id } = await publishTask(bus, { capabilities: [cap], input: 'wait' });
    await until('it to work', async () => (await status())?.status === 'working');
    expect((await status())?.task).toBe(id);
    open();
    await until('it to be done', async () => (await status())?.status === 'done');
    await publishTask(bus, { capabilities: [cap], input: 'fail', maxAttempts: 1 });
    await until('it to be in error', async () => (await status())?.status === 'error');
    expect(seen).toEqual([agent, agent]);
  });

  test('without a daemon are registered, kept alive, and belong to whoever registered them', async () => {
    const id = unique('hand');
    const mine = { id, visibility: 'shared', owner: 'me', host: 'here', ttlMs: 60_000 } as const;
    await registerAgent(bus, mine);
    await registerAgent(bus, { ...mine, status: 'working', task: 't-1' });
    expect((await listAgents(bus)).find(agent => agent.id === id)).toMatchObject({
      owner: 'me@here',
      hasDaemon: false,
      status: 'working',
      task: 't-1',
    });
    for (const other of [{ owner: 'you' }, { host: 'elsewhere' }])
      expect(await refusal(registerAgent(bus, { ...mine, ...other }))).toMatchObject({ code: 'conflict' });
    // Kept alive without a word on it, it stays what it was; idle, it is on no task.
    const { visibility: _, ...call } = mine;
    expect(await registerAgent(bus, { ...call, status: 'idle' })).toMatchObject({
      visibility: 'shared',
      status: 'idle',
    });
    expect((await listAgents(bus)).find(agent => agent.id === id)?.task).toBeUndefined();
    await unregisterAgent(bus, { agent: id, owner: 'me', host: 'here' });
    expect((await bus.buckets.open(AGENTS).get(id)).value).toBeUndefined();
    expect(await refusal(unregisterAgent(bus, { agent: id, owner: 'me', host: 'here' }))).toMatchObject({
      code: 'not_found',
    });
  });

  test.each([
    ['alice:public', 'alice:public'],
    ['alice:group', 'alice:group'],
    ['alice:group=', 'alice:group='],
    ['alice:shared:bob', 'alice:shared:bob'],
    ['al ice', 'al ice'],
    ['alice,alice:shared', 'alice'],
  ])('given as %s are refused', (text, named) => {
    expect(() => parseAgents(text)).toThrow(named);
  });
});
