// The library as its users have it: nothing but `connect` and what it returns, on a real server.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AttemptStopped,
  connect,
  type Handler,
  type Orch,
  OrchError,
  type RunningWorker,
  type TaskEvent,
  TryLater,
} from '../../src/index.ts';
import { TestNats } from '../support/nats.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let orch: Orch;
const root = mkdtempSync(join(tmpdir(), 'orch-library-'));
beforeAll(async () => {
  // Nothing is provisioned: the library makes what it needs.
  nats = await TestNats.start({ provision: false });
  orch = await connect({ servers: [nats.url], actor: 'tester' });
});
afterAll(async () => {
  await orch.close();
  await nats[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let names = 0;
const unique = (prefix: string) => `${prefix}-${++names}`;
const soon = () => ({ signal: AbortSignal.timeout(20_000) });

/** A worker of the one capability that it is given, on the shared connection. */
const worker = (capability: string, handler: Handler): Promise<RunningWorker> =>
  orch.runWorker({ node: unique('w'), capabilities: [capability], handler, drainTimeoutMs: 0 });

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof OrchError ? error.code : error),
  );

/** The first items, and no more than that; default: all of them. */
async function take<T>(source: AsyncIterable<T>, count = Number.POSITIVE_INFINITY): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) if (items.push(item) === count) break;
  return items;
}

const typesOf = (events: readonly TaskEvent[]) => events.map(({ type }) => type);

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve: (value: T) => resolve(value) };
}

/** A handler whose tasks wait until they are stopped or let go. */
function gate() {
  const opened = deferred<undefined>();
  const begun = deferred<undefined>();
  const stopped = deferred<unknown>();
  const handler: Handler = async (_task, { signal, log }) => {
    log('waiting');
    begun.resolve(undefined);
    signal.addEventListener('abort', () => stopped.resolve(signal.reason), { once: true });
    await Promise.race([opened.promise, stopped.promise.then(reason => Promise.reject(reason))]);
  };
  return { handler, begun: begun.promise, stopped: stopped.promise, open: () => opened.resolve(undefined) };
}

describe('a connection', () => {
  test('that finds no server fails as unavailable', async () => {
    expect(await codeOf(connect({ servers: ['nats://127.0.0.1:1'] }))).toBe('unavailable');
  });

  test('refuses an actor that is no token', async () => {
    expect(await codeOf(connect({ servers: [nats.url], actor: 'a.b' }))).toBe('usage');
    expect(await codeOf(orch.publishTask({}, { actor: 'a b' }))).toBe('usage');
  });

  test('closes at the end of its scope, and closes twice without harm', async () => {
    let left: Orch;
    {
      await using other = await connect({ servers: [nats.url] });
      left = other;
      await other.publishTask({ capabilities: ['scope'] });
    }
    await left.close();
    expect(await codeOf(left.publishTask({ capabilities: ['scope'] }))).toBe('unavailable');
  });
});

describe('a task', () => {
  test('is published once for an id, in the name of its actor', async () => {
    const id = unique('t');
    const spec = { id, capabilities: ['never'], priority: 'high', labels: { a: 'b' } } as const;
    expect(await orch.publishTask(spec)).toMatchObject({ id, created: true, state: 'queued' });
    expect(await orch.publishTask(spec, { actor: 'other' })).toMatchObject({ created: false });
    expect(await orch.getTask(id)).toMatchObject({
      lane: 'never',
      priority: 'high',
      createdBy: 'tester',
      labels: { a: 'b' },
    });
    const lines = await orch.listTasks({ lane: 'never', states: ['queued'] });
    expect(lines.map(line => line.id)).toEqual([id]);
    expect(await orch.taskHistory(id)).toMatchObject([{ kind: 'task', id, type: 'queued', actor: 'tester' }]);
  });

  test('that is published and waited for comes back with its result', async () => {
    const cap = unique('cap');
    await using _ = await worker(cap, ({ input }) => ({ got: input }));
    const spec = { capabilities: [cap], input: { n: 1 } };
    expect(await orch.publishAndWait(spec, soon())).toMatchObject({
      state: 'done',
      result: { got: { n: 1 } },
    });
    const { id } = await orch.publishTask(spec);
    expect(await orch.waitForTask(id, soon())).toMatchObject({ id, state: 'done' });
  });

  test('that does not end in time goes on, and the wait fails as timed out', async () => {
    const id = unique('t');
    const { signal } = new AbortController();
    const wait = { signal: AbortSignal.any([signal, AbortSignal.timeout(50)]) };
    expect(await codeOf(orch.publishAndWait({ id, capabilities: ['never'] }, wait))).toBe('timeout');
    expect(await codeOf(orch.waitForTask(id, wait))).toBe('timeout');
    const interrupted = AbortSignal.abort(new OrchError('interrupted', 'enough'));
    expect(await codeOf(orch.waitForTask(id, { signal: interrupted }))).toBe('interrupted');
    expect((await orch.getTask(id)).state).toBe('queued');
  });

  test('that was never published is not found', async () => {
    const id = 'no-such-task';
    const asked = [
      orch.getTask(id),
      orch.waitForTask(id, soon()),
      orch.cancel(id),
      orch.retry(id),
      take(orch.watchTask(id), 1),
      take(orch.output(id), 1),
      take(orch.output(id, { follow: true }), 1),
    ];
    expect(await Promise.all(asked.map(codeOf))).toEqual(asked.map(() => 'not_found'));
    expect(await codeOf(orch.getTask('a.b'))).toBe('usage');
  });

  test('is watched from its publish to its end', async () => {
    const cap = unique('cap');
    const { handler, begun, open } = gate();
    await using _ = await worker(cap, handler);
    const { id } = await orch.publishTask({ capabilities: [cap] });
    const watched: TaskEvent[] = [];
    const watching = (async () => {
      for await (const event of orch.watchTask(id)) watched.push(event);
    })();
    await begun;
    await until('the claim', () => watched.length === 2);
    open();
    await watching;
    expect(typesOf(watched)).toEqual(['queued', 'claimed', 'done']);
    expect(watched.map(({ seq }) => seq)).toEqual(watched.map(({ seq }) => seq).sort((a, b) => a - b));
    expect(typesOf(await orch.taskHistory(id))).toEqual(['queued', 'claimed', 'done']);
  });

  test('is no longer watched when the signal aborts', async () => {
    const { id } = await orch.publishTask({ capabilities: ['never'] });
    const stop = new AbortController();
    const types: string[] = [];
    for await (const { type } of orch.watchTask(id, { signal: stop.signal })) {
      types.push(type);
      stop.abort();
    }
    expect(types).toEqual(['queued']);
  });

  test('has its output read while it runs, to its end, and when it is stored', async () => {
    const cap = unique('cap');
    const { handler, begun, open } = gate();
    await using _ = await worker(cap, handler);
    const { id } = await orch.publishTask({ capabilities: [cap] });
    await begun;
    const [first] = await take(orch.output(id, { follow: true }), 1);
    expect(first).toMatchObject({ attempt: 1, stream: 'log', lines: ['waiting'] });
    const followed = take(orch.output(id, { follow: true }));
    open();
    expect(await followed).toEqual(await take(orch.output(id)));
    expect(await followed).toHaveLength(1);
  });

  test('that is cancelled while it runs stops its handler', async () => {
    const cap = unique('cap');
    const { handler, begun, stopped } = gate();
    await using _ = await worker(cap, handler);
    const { id } = await orch.publishTask({ capabilities: [cap] });
    await begun;
    const cancelled = await orch.cancel(id, { actor: 'boss', reason: 'enough' });
    expect(cancelled).toMatchObject({ kind: 'cancelled', record: { state: 'cancelled', reason: 'enough' } });
    expect(await stopped).toSatisfy(reason => reason instanceof AttemptStopped && reason.reason === 'fenced');
    expect(await orch.cancel(id)).toMatchObject({ kind: 'final' });
    expect((await orch.taskHistory(id)).at(-1)).toMatchObject({ type: 'cancelled', actor: 'boss' });
  });

  test('that failed is retried with all of its attempts', async () => {
    const cap = unique('cap');
    let isMended = false;
    await using _ = await worker(cap, () => {
      if (!isMended) throw new Error('broken');
      return 'mended';
    });
    const spec = { capabilities: [cap], maxAttempts: 1 };
    const failed = await orch.publishAndWait(spec, soon());
    expect(failed).toMatchObject({ state: 'failed', error: 'broken' });
    isMended = true;
    expect(await orch.retry(failed.id)).toMatchObject({ id: failed.id });
    expect(await orch.waitForTask(failed.id, soon())).toMatchObject({ state: 'done', result: 'mended' });
    expect(await codeOf(orch.retry(failed.id))).toBe('conflict');
  });
});

describe('a worker', () => {
  test('runs a command for each task, and gives it what it needs to know', async () => {
    const cap = unique('cap');
    await using node = await orch.runWorker({
      node: unique('w'),
      capabilities: [cap],
      exec: { command: 'cat; echo " on $ORCH_NODE at $NATS_URL $KEPT$NATS_KEPT"', workDir: root, env: KEPT },
    });
    const { id, state } = await orch.publishAndWait({ capabilities: [cap], input: 'hello' }, soon());
    expect(state).toBe('done');
    const lines = (await take(orch.output(id))).flatMap(chunk => chunk.lines);
    expect(lines).toEqual([`hello on ${node.node} at ${nats.url} kept`]);
  });

  test('gives a task back unharmed when its handler cannot run it now', async () => {
    const cap = unique('cap');
    await using _ = await worker(cap, ({ attempt }) => {
      if (attempt === 1) throw new TryLater('busy');
      return 'now';
    });
    const spec = { capabilities: [cap], maxAttempts: 1, backoff: { baseMs: 10 } };
    expect(await orch.publishAndWait(spec, soon())).toMatchObject({ state: 'done', attempt: 2, forgiven: 1 });
  });

  test('pauses, resumes, drains and stops', async () => {
    const cap = unique('cap');
    const { handler, begun, open } = gate();
    const node = await worker(cap, handler);
    expect(node.state).toBe('ready');
    await node.pause();
    expect(node.state).toBe('paused');
    const { id } = await orch.publishTask({ capabilities: [cap] });
    await node.resume();
    await begun;
    expect(node).toMatchObject({ state: 'ready', running: 1 });
    await node.drain({ timeoutMs: 10_000 });
    expect(node.state).toBe('draining');
    open();
    expect((await orch.waitForTask(id, soon())).state).toBe('done');
    await node.stop();
    const left = orch.events({ kind: 'node', id: node.node, since: new Date(0) });
    const types = (await take(left, 5)).map(({ type }) => type);
    expect(types).toEqual(['online', 'paused', 'resumed', 'draining', 'offline']);
  });

  test('gives its tasks back at once when it is stopped without time', async () => {
    const cap = unique('cap');
    const { handler, begun, stopped } = gate();
    const node = await worker(cap, handler);
    const { id } = await orch.publishTask({ capabilities: [cap] });
    await begun;
    await node.stop({ timeoutMs: 0 });
    expect(await stopped).toSatisfy(reason => reason instanceof AttemptStopped && reason.reason === 'drain');
    expect((await orch.getTask(id)).state).toBe('queued');
  });

  test('with a name that a live node has is refused', async () => {
    await using first = await worker(unique('cap'), () => undefined);
    const again = orch.runWorker({ node: first.node, handler: () => undefined });
    expect(await codeOf(again)).toBe('conflict');
  });
});

describe('memory', () => {
  test('is written by its agent, read by others as far as it allows, and asked all at once', async () => {
    const [alice, bob] = [unique('alice'), unique('bob')];
    const seen = deferred<string | undefined>();
    await using _ = await orch.runWorker({
      node: unique('w'),
      capabilities: ['remembering'],
      agents: [{ id: alice, visibility: 'shared' }, { id: bob }],
      memory: { dir: root },
      handler: (_task, { agent }) => seen.resolve(agent),
    });
    const own = orch.memory({ as: alice });
    const { id, outcome } = await until('alice', () =>
      own.remember({ content: 'deploys go out on Tuesdays', links: ['api'] }).catch(() => undefined),
    );
    expect(outcome).toBe('created');
    const read = orch.memory({ as: bob, agent: alice });
    expect((await read.recall({ query: 'deploys' })).items).toMatchObject([{ id, agent: alice }]);
    expect((await read.search({ query: '"go out" -staging' })).items).toMatchObject([{ id }]);
    expect((await own.expand({ entity: 'api' })).items).toMatchObject([{ id }]);
    expect(await own.stats()).toMatchObject({ agent: alice, records: 1 });
    expect(await codeOf(read.remember({ content: 'not mine' }))).toBe('denied');
    expect(await codeOf(own.recall({ query: '' }))).toBe('usage');
    expect(await codeOf(orch.memory({ as: 'no-one' }).stats())).toBe('not_found');
    const question = { as: bob, query: 'deploys' };
    const whole = await until('the node to be known', async () => {
      const answer = await orch.recallAll(question, { deadlineMs: 2_000 });
      return answer.nodes === 1 && answer;
    });
    expect(whole).toMatchObject({ partial: false, missing: [], items: [{ id }] });
    expect((await orch.searchAll(question, { deadlineMs: 2_000 })).items).toMatchObject([{ id }]);
    expect(await own.forget({ id: id ?? '' })).toMatchObject({ outcome: 'forgotten', ids: [id] });
    await orch.publishTask({ capabilities: ['remembering'] });
    expect([alice, bob]).toContain(await seen.promise);
  });
});

describe('events', () => {
  test('come decoded and in order, of the kinds, types, ids and actors that were asked for', async () => {
    const cap = unique('cap');
    const since = new Date(Date.now() - 1_000);
    const node = await worker(cap, () => 'ok');
    const ids = [unique('e'), unique('e')];
    for (const id of ids)
      expect(await orch.publishAndWait({ id, capabilities: [cap] }, soon())).toMatchObject({ state: 'done' });
    const of = ids[0] ?? '';
    expect(await take(orch.events({ kind: 'task', id: of, since }), 3)).toMatchObject([
      { kind: 'task', id: of, type: 'queued', actor: 'tester', task: { id: of, state: 'queued' } },
      { type: 'claimed', actor: node.node, task: { node: node.node } },
      { type: 'done', task: { result: 'ok' } },
    ]);
    const done = orch.events({ type: 'done', actor: node.node, since });
    expect((await take(done, 2)).map(({ id }) => id)).toEqual(ids);
    const ends = orch.events({ kind: 'task', type: ['done', 'failed'], id: ids[1] ?? '', since });
    expect(typesOf(await take(ends, 1))).toEqual(['done']);
    const came = await take(orch.events({ kind: 'node', id: node.node, since }), 1);
    expect(came).toMatchObject([{ type: 'online', node: { id: node.node, capabilities: [cap] } }]);
    await node.stop();
  });

  test('come as they happen, until the signal aborts', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { id } of orch.events({ kind: 'task', actor: 'live', signal: stop.signal }))
        seen.push(id);
    })();
    // The first that the loop receives tells that it has begun; all after it come too, each once.
    await until('the loop to begin', async () => {
      await orch.publishTask({ capabilities: ['never'] }, { actor: 'live' });
      return seen.length > 0;
    });
    const ids = [unique('live'), unique('live')];
    for (const id of ids) await orch.publishTask({ id, capabilities: ['never'] }, { actor: 'live' });
    await until('the last', () => seen.includes(ids[1] ?? ''));
    expect(seen.slice(-2)).toEqual(ids);
    expect(new Set(seen).size).toBe(seen.length);
    stop.abort();
    await following;
  });

  test('of an agent tell who owns it', async () => {
    const agent = unique('owned');
    const since = new Date(Date.now() - 1_000);
    await using node = await orch.runWorker({
      node: unique('w'),
      agents: [{ id: agent, visibility: 'group', group: 'ops' }],
      handler: () => undefined,
    });
    expect(await take(orch.events({ kind: 'agent', id: agent, since }), 1)).toMatchObject([
      {
        kind: 'agent',
        type: 'owned',
        id: agent,
        agent: { node: node.node, visibility: 'group', group: 'ops' },
      },
    ]);
  });
});

const KEPT = { PATH: process.env['PATH'], KEPT: 'kept', NATS_KEPT: 'not kept' };
