// A fleet of real processes: killed, stopped, cut off, started twice; what the others see of it, and how soon.
// Times are printed and not asserted: the machine is busy, and what counts is that it happens.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { type ClusterStatus, listAgents, readStatus } from '../../src/cluster/index.ts';
import { readLease } from '../../src/leases/index.ts';
import { lookAtNodes, readNodeEntry } from '../../src/nodes/index.ts';
import { CHORES_LEASE, isFinal, JOURNAL } from '../../src/protocol/index.ts';
import { getTask, listTasks, newTaskId, taskHistory, waitForTask } from '../../src/tasks/index.ts';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { publishTask } from '../support/tasks.ts';
import { letTimePass, until } from '../support/wait.ts';

const QUICK = ['--heartbeat', '500ms', '--expiry', '2s'];
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setting(leaseMs = 60_000): Promise<{ nats: TestNats; bus: Bus; orch: Orch }> {
  // A lease that nobody waits for: what is quicker than it is not the queue's doing.
  const nats = await TestNats.start({ leaseMs });
  const orch = new Orch(nats.url);
  cleanups.push(
    () => nats[Symbol.asyncDispose](),
    () => orch[Symbol.dispose](),
  );
  return { nats, bus: await nats.bus(), orch };
}

async function startWorker(orch: Orch, node: string, ...words: string[]): Promise<Running> {
  const worker = orch.start(['worker', '--node', node, ...QUICK, ...words]);
  await worker.ready();
  return worker;
}

async function nodeEvents(bus: Bus, node: string): Promise<string[]> {
  const types: string[] = [];
  for await (const stored of bus.streams.range(JOURNAL, { filter: `journal.node.${node}.>` })) {
    const line = readNodeEntry(stored);
    types.push(line?.returned ? `${line.type} again` : (line?.type ?? 'unreadable'));
  }
  return types;
}

/** Runs until a condition holds, and prints how long that took. */
async function timed<T>(what: string, check: () => T | Promise<T>, timeoutMs = 30_000) {
  const began = performance.now();
  const value = await until(what, check, timeoutMs);
  console.log(`${what}: ${Math.round(performance.now() - began)} ms`);
  return value;
}

describe('a node that is killed', () => {
  test('is lost once its key expires, and its task runs elsewhere at once, long before its lease is over', async () => {
    const { bus, orch } = await setting();
    const keeper = await startWorker(orch, 'keeper', '--caps', 'nothing');
    await until('it to do the chores', async () => (await readLease(bus, CHORES_LEASE))?.node === 'keeper');
    const victim = await startWorker(orch, 'victim', '--caps', 'slow');
    const { id } = await publishTask(bus, {
      capabilities: ['slow'],
      input: 'if [ "$ORCH_NODE" = victim ]; then sleep 300; fi; echo done',
    });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    await startWorker(orch, 'heir', '--caps', 'slow');
    victim.kill('SIGKILL');
    await timed(
      'a killed node’s task was claimed elsewhere (expiry is 2 s)',
      async () => (await getTask(bus, id)).node === 'heir',
    );
    expect(await waitForTask(bus, id, AbortSignal.timeout(30_000))).toMatchObject({
      state: 'done',
      attempt: 2,
    });
    expect(await nodeEvents(bus, 'victim')).toEqual(['online', 'lost']);
    expect(keeper.stderr).toContain('gave back the tasks of a lost node');
  });

  test('and started again at once is a new incarnation, and the old one is lost', async () => {
    const { bus, orch } = await setting();
    const first = await startWorker(orch, 'phoenix');
    first.kill('SIGKILL');
    await first.finished;
    await startWorker(orch, 'phoenix');
    expect(await nodeEvents(bus, 'phoenix')).toEqual(['online', 'lost', 'online']);
  });

  test('while it does the chores: another goes on with them, and each flag is there once', async () => {
    const { bus, orch } = await setting();
    const workers = new Map<string, Running>();
    for (const node of ['a', 'b']) workers.set(node, await startWorker(orch, node));
    const ids = Array.from({ length: 400 }, () => newTaskId());
    await Promise.all(ids.map(id => publishTask(bus, { id, capabilities: ['rare'] })));
    const flagged = async () => (await listTasks(bus, { lane: 'rare' })).filter(task => task.unservableSince);
    await until('it to be in the middle of it', async () => (await flagged()).length > 0);
    const holder = (await readLease(bus, CHORES_LEASE))?.node ?? '';
    workers.get(holder)?.kill('SIGKILL');
    await timed(
      'another node did the chores of a killed one (TTL is 20 s)',
      async () => {
        const now = await readLease(bus, CHORES_LEASE);
        return now && now.node !== holder;
      },
      60_000,
    );
    await until('all to be flagged', async () => (await flagged()).length === ids.length);
    const types = await Promise.all(
      ids.map(async id => (await taskHistory(bus, id)).map(({ type }) => type).join()),
    );
    expect([...new Set(types)]).toEqual(['queued,unservable']);
  }, 120_000);
});

describe('a node that is stopped for a while', () => {
  test('loses its task and its agent; awake again it lets go of both, and is the same node as before', async () => {
    const { bus, orch } = await setting();
    await startWorker(orch, 'keeper', '--caps', 'nothing');
    const sleeper = await startWorker(
      orch,
      'sleeper',
      '--caps',
      'slow',
      '--agents',
      'alice',
      '--grace',
      '100ms',
    );
    const { id } = await publishTask(bus, { capabilities: ['slow'], input: 'sleep 300' });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    await startWorker(orch, 'heir', '--caps', 'slow', '--agents', 'alice');
    sleeper.kill('SIGSTOP');
    await timed(
      'a stopped node’s task was claimed elsewhere',
      async () => (await getTask(bus, id)).node === 'heir',
    );
    await timed('a stopped node’s agent was taken over', async () =>
      (await listAgents(bus)).some(agent => agent.id === 'alice' && agent.owner === 'heir'),
    );
    const statusNow = await readStatus(bus);
    expect(statusNow.nodes.find(view => view.id === 'sleeper')?.presence).toBe('lost');
    sleeper.kill('SIGCONT');
    await timed('it noticed that its task is gone', () => sleeper.stderr.includes('"state":"fenced"'));
    await timed('it noticed that its agent is gone', () =>
      sleeper.stderr.includes('agent is owned elsewhere'),
    );
    await until('it to be back', async () => (await nodeEvents(bus, 'sleeper')).at(-1) === 'online again');
    expect(await nodeEvents(bus, 'sleeper')).toEqual(['online', 'lost', 'online again']);
    expect(await getTask(bus, id)).toMatchObject({ state: 'claimed', node: 'heir', attempt: 2 });
  });
});

describe('a server that is restarted', () => {
  test('has all its nodes back, and none was lost', async () => {
    const { nats, bus, orch } = await setting();
    for (const node of ['a', 'b', 'c']) await startWorker(orch, node, '--agents', `agent-${node}`);
    await nats.kill();
    await nats.restart();
    await timed('all nodes were back after a restart of the server', async () => {
      const views = await lookAtNodes(bus).catch(() => []);
      return views.length === 3 && views.every(({ presence }) => presence === 'live');
    });
    // Longer than an expiry: whoever was to be lost would be by now.
    await letTimePass(3_000);
    for (const node of ['a', 'b', 'c']) expect(await nodeEvents(bus, node)).toEqual(['online']);
    expect((await listAgents(bus)).map(({ id, owner }) => `${id} ${owner}`)).toEqual([
      'agent-a a',
      'agent-b b',
      'agent-c c',
    ]);
  });
});

describe('orch status', () => {
  test('tells the truth after each of join, drain, conflict, kill, loss of the server and its return', async () => {
    const { nats, orch } = await setting();
    const now = async (): Promise<ClusterStatus | undefined> => {
      const { code, stdout } = await orch.run(['status', '--json', '--timeout', '1s']);
      return code === 0 ? JSON.parse(stdout) : undefined;
    };
    const nodeNow = async (id: string) => (await now())?.nodes.find(view => view.id === id);
    await startWorker(orch, 'first', '--agents', 'alice');
    await timed('status showed a join', async () => (await nodeNow('first'))?.presence === 'live');
    const second = await startWorker(orch, 'second', '--agents', 'alice');
    await timed('status showed a conflict', async () =>
      (await now())?.degraded.some(
        ({ subject, id, message }) => subject === 'agent' && id === 'alice' && message.includes('second'),
      ),
    );
    expect((await orch.run(['drain', 'second'])).code).toBe(0);
    await timed('status showed a drain', async () => (await nodeNow('second'))?.record?.state === 'draining');
    second.kill('SIGKILL');
    await timed('status showed a kill', async () => {
      const view = await nodeNow('second');
      return view && view.presence !== 'live';
    });
    await nats.kill();
    await timed(
      'status showed the loss of the server',
      async () => (await orch.run(['status', '--timeout', '1s'])).code === 3,
    );
    await nats.restart();
    await timed(
      'status showed the return of the server and the node',
      async () => (await nodeNow('first'))?.presence === 'live',
    );
  }, 90_000);
});

describe('a node whose clock is an hour off', () => {
  test('is seen, runs tasks, keeps its lease, and is told of by the doctor', async () => {
    const { bus, orch } = await setting(1_500);
    const shift = join(orch.home, 'shift.mjs');
    writeFileSync(
      shift,
      `const RealDate = Date;
       const now = () => RealDate.now() + 3_600_000;
       globalThis.Date = class extends RealDate {
         constructor(...given) { if (given.length === 0) super(now()); else super(...given); }
         static now() { return now(); }
       };`,
    );
    const env = { NODE_OPTIONS: `--import ${pathToFileURL(shift).href}` };
    const worker = orch.start(['worker', '--node', 'ahead', '--caps', 'ahead', ...QUICK], { env });
    await worker.ready();
    const quick = await publishTask(bus, { capabilities: ['ahead'], input: 'echo hello' });
    expect((await waitForTask(bus, quick.id, AbortSignal.timeout(20_000))).state).toBe('done');
    // Longer than the lease, and one failed attempt with its pause.
    const slow = await publishTask(bus, {
      capabilities: ['ahead'],
      input: 'if [ "$ORCH_ATTEMPT" = 1 ]; then exit 1; fi; sleep 3',
      backoff: { baseMs: 100 },
    });
    const record = await waitForTask(bus, slow.id, AbortSignal.timeout(20_000));
    expect(isFinal(record.state) && record).toMatchObject({ state: 'done', attempt: 2 });
    expect((await lookAtNodes(bus))[0]).toMatchObject({ id: 'ahead', presence: 'live' });
    const { stdout } = await orch.run(['doctor']);
    expect(stdout).toMatch(/warning +clock +ahead's clock is 3\d{6} ms ahead/);
  });
});
