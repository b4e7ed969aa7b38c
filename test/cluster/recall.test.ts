// Memories over the wire: each answered by its owner alone, and all of them asked at once.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAgents } from '../../src/agents/index.ts';
import type { Bus } from '../../src/bus/index.ts';
import { recallFromAll } from '../../src/cluster/index.ts';
import type { Daemon, DaemonOptions } from '../../src/daemon/index.ts';
import { askMemory, fileOf, memoryClient, openMemory } from '../../src/memory/index.ts';
import { lookAtNode } from '../../src/nodes/index.ts';
import {
  bucketSubject,
  encode,
  memorySubject,
  NODES,
  type OrchError,
  type RecallReply,
} from '../../src/protocol/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { startDaemon } from '../support/node.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
const root = mkdtempSync(join(tmpdir(), 'orch-recall-'));
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let names = 0;
const unique = (prefix: string) => `${prefix}-${++names}`;

async function startNode(
  agents: string,
  options: Partial<DaemonOptions> & { on?: Bus } = {},
): Promise<Daemon & AsyncDisposable & { dir: string }> {
  const dir = options.memory?.dir ?? join(root, unique('dir'));
  const { on, ...rest } = options;
  const started = await startDaemon(on ?? (await nats.bus()), {
    node: unique('m'),
    heartbeatMs: 300,
    expiryMs: 2_000,
    handler: () => 'ok',
    chores: [],
    ownedAgents: parseAgents(agents),
    memory: { dir },
    ...rest,
  });
  return Object.assign(started, { dir, [Symbol.asyncDispose]: () => started.stop(0) });
}

/** Waits until others see a node with as many agents. */
const seen = (node: Daemon, agents: number) =>
  until('it to be seen', async () => (await lookAtNode(bus, node.node)).record?.agents.length === agents);

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as OrchError,
  );
const contents = (reply: Pick<RecallReply, 'items'>) => reply.items.map(({ content }) => content);

describe('an agent’s memory', () => {
  test('is answered by its owner, for itself and for others as far as it allows', async () => {
    const [alice, bob] = [unique('alice'), unique('bob')];
    await using node = await startNode(`${alice}:shared,${bob}`);
    const own = memoryClient(bus, { as: alice });
    expect(await own.remember({ content: 'deploys go out on Tuesdays', key: 'deploys' })).toMatchObject({
      outcome: 'created',
      version: 1,
    });
    expect(contents(await own.recall({ query: 'when do deploys go out' }))).toEqual([
      'deploys go out on Tuesdays',
    ]);
    const [item] = (await memoryClient(bus, { as: bob, agent: alice }).search({ query: 'deploys' })).items;
    expect(item).toMatchObject({ agent: alice, node: node.node, key: 'deploys' });
    // Bob is isolated: nothing of his is there for others.
    await memoryClient(bus, { as: bob }).remember({ content: 'deploys are secret' });
    expect((await memoryClient(bus, { as: alice, agent: bob }).recall({ query: 'deploys' })).items).toEqual(
      [],
    );
  });

  test('is written by its agent alone', async () => {
    const alice = unique('alice');
    await using _ = await startNode(`${alice}:shared`);
    const stranger = memoryClient(bus, { as: 'mallory', agent: alice });
    expect(await refusal(stranger.remember({ content: 'x' }))).toMatchObject({ code: 'denied' });
    expect(await refusal(stranger.forget({ filter: { type: 'note' } }))).toMatchObject({ code: 'denied' });
  });

  test('of an agent that nobody owns is not found, at once', async () => {
    const error = await refusal(askMemory(bus, unique('nobody'), 'recall', { as: 'x', query: 'y' }, 60_000));
    expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining('no node owns') });
  });

  test('is not answered by a node that was cut off for too long to still own it', async () => {
    const alice = unique('alice');
    await using node = await startNode(`${alice}:shared`);
    await memoryClient(bus, { as: alice }).remember({ content: 'kept' });
    // The node is asked all the same; that it owns the agent it no longer knows.
    Object.defineProperty(node.agents, 'owns', { value: () => false });
    const asked = askMemory(bus, alice, 'recall', { as: alice, query: 'kept' }, 500);
    expect(await refusal(asked)).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('did not answer'),
    });
  });

  test('can be asked with any NATS client, and says what is wrong with a question', async () => {
    const alice = unique('alice');
    await using _ = await startNode(`${alice}:shared`);
    await memoryClient(bus, { as: alice }).remember({ content: 'the answer is 42' });
    const nc = await connect({ servers: nats.url });
    const ask = (body: string) => nc.request(memorySubject(alice, 'recall'), body, { timeout: 5_000 });
    const good = await ask('{"query":"answer","as":"bob"}');
    expect(good.json<RecallReply>().items[0]?.content).toBe('the answer is 42');
    for (const [body, field] of [
      ['{"query":"answer"}', 'as'],
      ['{"query":7,"as":"bob"}', 'query'],
      ['{"query":"x","as":"bob","limit":1000}', 'limit'],
      ['{"query":"x","as":"a b"}', 'as'],
      ['not json', 'JSON'],
      ['', 'as'],
    ] as const) {
      const bad = await ask(body);
      expect(bad.headers?.get('Nats-Service-Error-Code')).toBe('400');
      expect(bad.json<{ error: { message: string } }>().error.message).toContain(field);
    }
    await nc.close();
  });

  test('is closed when its agent goes, and open where it goes to', async () => {
    const alice = unique('alice');
    const dir = join(root, unique('shared-disk'));
    const first = await startNode(`${alice}:shared`, { memory: { dir } });
    await using second = await startNode(`${alice}:shared`, { memory: { dir } });
    await memoryClient(bus, { as: alice }).remember({ content: 'before' });
    await first.stop(0);
    await until('the second to own it', () => second.agents.owns(alice));
    const reply = await until('it to answer', () =>
      memoryClient(bus, { as: alice })
        .recall({ query: 'before' })
        .catch(() => undefined),
    );
    expect(reply.items[0]).toMatchObject({ content: 'before', node: second.node });
  });

  test('that is damaged says so with its file; the other agents of the node go on', async () => {
    const [bad, good] = [unique('bad'), unique('good')];
    const dir = join(root, unique('damaged'));
    await (await openMemory({ dir, agent: bad })).close();
    writeFileSync(fileOf(dir, bad), 'this is no database, and was one once'.repeat(200));
    await using _ = await startNode(`${bad},${good}`, { memory: { dir } });
    const error = await refusal(memoryClient(bus, { as: bad }).recall({ query: 'x' }));
    expect(error?.message).toContain(fileOf(dir, bad));
    expect(await memoryClient(bus, { as: good }).remember({ content: 'fine' })).toMatchObject({
      outcome: 'created',
    });
  });
});

describe('an owner that was cut off and is back', () => {
  test('leaves all answers to the one that took over', async () => {
    const alice = unique('alice');
    const dir = join(root, unique('moving'));
    const link = await Link.to(nats.url);
    const first = await startNode(`${alice}:shared`, {
      on: await nats.bus({ servers: [link.url] }),
      memory: { dir },
    });
    await using second = await startNode(`${alice}:shared`, { memory: { dir } });
    await memoryClient(bus, { as: alice }).remember({ content: 'sandpiper' });
    link.cut();
    const ask = () => askMemory(bus, alice, 'recall', { as: alice, query: 'sandpiper' }, 1_000);
    await until('the second to own it', () => second.agents.owns(alice));
    await until('it to answer', () => ask().catch(() => undefined));
    link.heal();
    await until('the first to be back', async () =>
      (await lookAtNode(bus, first.node)).record?.waitingAgents.includes(alice),
    );
    for (let asked = 0; asked < 20; asked++) {
      const { items } = await ask();
      expect(items[0]).toMatchObject({ content: 'sandpiper', node: second.node });
    }
    // It holds nothing open of what is not its own.
    const nc = await connect({ servers: nats.url });
    const owners = async () => {
      const found: string[] = [];
      const pings = await nc.requestMany('$SRV.PING.orch-agent', '', { strategy: 'stall', maxWait: 1_000 });
      for await (const msg of pings) {
        const { metadata } = msg.json<{ metadata: { agent: string; node: string } }>();
        if (metadata.agent === alice) found.push(metadata.node);
      }
      return found.join();
    };
    await until('only the second to serve it', async () => (await owners()) === second.node);
    await nc.close();
    await first.stop(0);
    await link[Symbol.asyncDispose]();
  });
});

describe('a memory that could not be opened', () => {
  test('is tried again, and answers once it can be', async () => {
    const alice = unique('alice');
    const dir = join(root, unique('repaired'));
    await (await openMemory({ dir, agent: alice })).close();
    writeFileSync(fileOf(dir, alice), 'this is no database, and was one once'.repeat(200));
    await using _ = await startNode(alice, { memory: { dir } });
    expect((await refusal(memoryClient(bus, { as: alice }).recall({ query: 'x' })))?.message).toContain(
      'damaged',
    );
    // To others it says no more than that it is not there.
    const told = await refusal(memoryClient(bus, { as: 'bob', agent: alice }).recall({ query: 'x' }));
    expect(told?.message).not.toContain(dir);
    rmSync(fileOf(dir, alice));
    await until('it to be open', () =>
      memoryClient(bus, { as: alice })
        .remember({ content: 'again' })
        .catch(() => undefined),
    );
  });
});

describe('a question to all', () => {
  test('has the same ten best answers over one, three and ten nodes', async () => {
    const words = [
      'deploy',
      'rollback',
      'database',
      'index',
      'cache',
      'queue',
      'lease',
      'fence',
      'journal',
      'board',
    ];
    const records = Array.from({ length: 120 }, (_, i) => ({
      id: `r${i}`,
      content: `${words[i % 10]} ${words[(i * 7) % 10]} ${words[(i * 3) % 9]} note ${'filler '.repeat(i)}${i}`,
      importance: (i % 4) / 4,
    }));
    const answers: string[][] = [];
    for (const nodes of [1, 3, 10]) {
      const started = await Promise.all(
        Array.from({ length: nodes }, (_, i) => startNode(`${unique('split')}-${i}:shared`)),
      );
      const owners = started.map(node => node.agents.agents[0]?.id ?? '');
      await Promise.all(
        records.map(({ id: key, ...record }, i) =>
          memoryClient(bus, { as: owners[i % nodes] ?? '' }).remember({ ...record, key }),
        ),
      );
      for (const node of started)
        await until(
          'it to be seen with its agent',
          async () => (await lookAtNode(bus, node.node)).record?.agents.length === 1,
        );
      const reply = await recallFromAll(
        bus,
        'recall',
        { as: 'anybody', query: 'deploy lease journal' },
        { deadlineMs: 10_000 },
      );
      expect(reply).toMatchObject({ partial: false, missing: [], nodes });
      answers.push(reply.items.map(({ key }) => key ?? ''));
      await Promise.all(started.map(node => node.stop(0)));
    }
    expect(answers[0]).toHaveLength(10);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  }, 60_000);

  test('shows nobody what is not theirs: isolated never, a group to its members', async () => {
    const [open, closed, ops, dev] = [unique('open'), unique('closed'), unique('ops'), unique('dev')];
    await using one = await startNode(`${open}:shared,${closed}`);
    await using two = await startNode(`${ops}:group=ops,${dev}:group=dev`);
    for (const agent of [open, closed, ops, dev])
      await memoryClient(bus, { as: agent }).remember({ content: `plover of ${agent}` });
    for (const node of [one, two])
      await until(
        'it to be seen',
        async () => (await lookAtNode(bus, node.node)).record?.agents.length === 2,
      );
    const seenBy = async (as: string, more = {}) => {
      const reply = await recallFromAll(
        bus,
        'recall',
        { as, query: 'plover' },
        { deadlineMs: 5_000, ...more },
      );
      return reply.items.map(({ agent }) => agent).sort();
    };
    expect(await seenBy('a-person')).toEqual([open]);
    expect(await seenBy(closed)).toEqual([closed, open].sort());
    expect(await seenBy(ops)).toEqual([open, ops].sort());
    expect(await seenBy(dev, { group: 'dev' })).toEqual([dev]);
    // A group that is claimed in the question is nobody's.
    expect(await seenBy('a-person', { group: 'ops' })).toEqual([]);
    // In one round, as a plain client asks.
    const nc = await connect({ servers: nats.url });
    const replies: RecallReply[] = [];
    for await (const msg of await nc.requestMany('agents.recall', '{"query":"plover","as":"a-person"}', {
      strategy: 'stall',
      maxWait: 1_000,
    }))
      replies.push(msg.json<RecallReply>());
    expect(replies.flatMap(contents)).toEqual([`plover of ${open}`]);
    await nc.close();
  });

  test('without a node that is cut off is partial, names it, and comes at the deadline at the latest', async () => {
    const [here, away] = [unique('here'), unique('away')];
    const link = await Link.to(nats.url);
    await using _ = await startNode(`${here}:shared`);
    const far = await startNode(`${away}:shared`, {
      on: await nats.bus({ servers: [link.url] }),
      expiryMs: 60_000,
    });
    for (const agent of [here, away])
      await memoryClient(bus, { as: agent }).remember({ content: `curlew of ${agent}` });
    await until('both to be seen', async () => {
      const reply = await recallFromAll(bus, 'recall', { as: 'x', query: 'curlew' }, { deadlineMs: 5_000 });
      return reply.items.length === 2 && !reply.partial;
    });
    link.cut();
    const began = performance.now();
    const reply = await recallFromAll(bus, 'recall', { as: 'x', query: 'curlew' }, { deadlineMs: 1_000 });
    console.log(
      `with a node cut off and a deadline of 1,000 ms the answer came after ${Math.round(performance.now() - began)} ms`,
    );
    expect(contents(reply)).toEqual([`curlew of ${here}`]);
    expect(reply).toMatchObject({ partial: true, missing: [{ node: far.node, why: 'late' }] });
    link.heal();
    await far.stop(0);
    await link[Symbol.asyncDispose]();
  });

  test('names an agent whose memory is damaged to who may read it, and to nobody else', async () => {
    const [bad, hidden, good] = [unique('bad'), unique('hidden'), unique('good')];
    const dir = join(root, unique('damaged'));
    for (const agent of [bad, hidden]) {
      await (await openMemory({ dir, agent })).close();
      writeFileSync(fileOf(dir, agent), 'this is no database, and was one once'.repeat(200));
    }
    await using node = await startNode(`${bad}:shared,${hidden},${good}:shared`, { memory: { dir } });
    await memoryClient(bus, { as: good }).remember({ content: 'whimbrel' });
    await seen(node, 3);
    const reply = await recallFromAll(bus, 'recall', { as: 'x', query: 'whimbrel' }, { deadlineMs: 5_000 });
    expect(contents(reply)).toEqual(['whimbrel']);
    expect(reply).toMatchObject({
      partial: true,
      missing: [{ node: node.node, why: 'failed', detail: expect.stringContaining(bad) }],
    });
    expect(JSON.stringify(reply)).not.toContain(hidden);
  });

  test('waits for no node whose agents have no memory, and misses no agent that another node took over', async () => {
    const [plain, moved] = [unique('plain'), unique('moved')];
    await using _ = await startDaemon(await nats.bus(), {
      node: unique('m'),
      handler: () => 'ok',
      chores: [],
      ownedAgents: parseAgents(`${plain}:shared`),
    }).then(started => Object.assign(started, { [Symbol.asyncDispose]: () => started.stop(0) }));
    await using heir = await startNode(`${moved}:shared`);
    await seen(heir, 1);
    const record = (await lookAtNode(bus, heir.node)).record;
    const lost = { type: 'lost', at: new Date().toISOString(), actor: 'j', nonce: 'n' };
    for (const [id, agents] of [
      ['gone-1', record?.agents],
      ['gone-2', [{ id: 'only-there', visibility: 'shared', status: 'idle' }]],
    ] as const)
      await bus.streams.write(
        `journal.node.${id}.lost.j`,
        encode({ ...lost, node: { ...record, id, agents } }),
      );
    const reply = await recallFromAll(bus, 'recall', { as: 'x', query: 'anything' }, { deadlineMs: 5_000 });
    expect(reply.missing).toEqual([{ node: 'gone-2', why: 'lost' }]);
    expect(reply.nodes).toBe(1);
    // Heard of again, it is not missing; nor is one that left.
    await bus.streams.write(
      `journal.node.gone-2.offline.gone-2`,
      encode({ ...lost, type: 'offline', node: { ...record, id: 'gone-2' } }),
    );
    expect(
      (await recallFromAll(bus, 'recall', { as: 'x', query: 'anything' }, { deadlineMs: 5_000 })).partial,
    ).toBe(false);
  });

  test('is checked like any other question', async () => {
    await using _ = await startNode(`${unique('alice')}:shared`);
    const nc = await connect({ servers: nats.url });
    for (const [verb, body] of [
      ['statistics', '{"group":"none","query":"x","kind":"recall"}'],
      ['candidates', '{"as":"x","query":"x","kind":"recall","limit":"x"}'],
      ['recall', '{"query":"x"}'],
      ['search', '{"as":"x","query":""}'],
    ] as const) {
      const reply = await nc.request(`agents.${verb}`, body, { timeout: 5_000 });
      expect([verb, reply.headers?.get('Nats-Service-Error-Code')]).toEqual([verb, '400']);
    }
    await nc.close();
  });

  test('names nodes that speak another protocol', async () => {
    const id = unique('stranger');
    await bus.streams.write(
      bucketSubject(NODES, id),
      encode({ id, incarnation: 'i', startedAt: new Date().toISOString(), protocol: { min: 7, max: 9 } }),
      {
        headers: { 'Nats-TTL': '60s' },
      },
    );
    const reply = await recallFromAll(bus, 'search', { as: 'x', query: 'anything' });
    expect(reply.missing).toContainEqual(expect.objectContaining({ node: id, why: 'incompatible' }));
    expect(reply.partial).toBe(true);
    await bus.streams.purge(NODES, bucketSubject(NODES, id));
  });

  test('where nobody owns an agent is empty, and complete', async () => {
    const lone = await TestNats.start();
    const reply = await recallFromAll(await lone.bus(), 'recall', { as: 'x', query: 'y' });
    expect(reply).toMatchObject({ items: [], partial: false, nodes: 0 });
    await lone[Symbol.asyncDispose]();
  });
});
