import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { lookAtNodes } from '../../src/nodes/index.ts';
import { isFinal, JOURNAL, type TaskState } from '../../src/protocol/index.ts';
import {
  getTask,
  listTasks,
  newTaskId,
  taskHistory,
  tryReadEntry,
  waitForTask,
} from '../../src/tasks/index.ts';
import { TestNats } from '../support/nats.ts';
import { Orch } from '../support/orch.ts';
import { isRunning } from '../support/processes.ts';
import { publishTask } from '../support/tasks.ts';
import { until } from '../support/wait.ts';

// Longer than a server's restart with a reconnect, so that only a killed worker loses its leases.
const LEASE_MS = 4_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setting(): Promise<{ nats: TestNats; bus: Bus; orch: Orch }> {
  const nats = await TestNats.start({ leaseMs: LEASE_MS });
  const orch = new Orch(nats.url);
  cleanups.push(
    () => nats[Symbol.asyncDispose](),
    () => orch[Symbol.dispose](),
  );
  return { nats, bus: await nats.bus(), orch };
}

/** How often each task reached a final entry, from the whole journal. */
async function finalEntries(bus: Bus): Promise<Map<string, TaskState[]>> {
  const finals = new Map<string, TaskState[]>();
  for await (const stored of bus.streams.range(JOURNAL, { filter: 'journal.task.>' })) {
    const line = tryReadEntry(stored);
    if (!line) throw new Error(`an unreadable entry on ${stored.subject}`);
    const list = finals.get(line.task.id) ?? [];
    if (isFinal(line.task.state)) list.push(line.task.state);
    finals.set(line.task.id, list);
  }
  return finals;
}

/** Waits until all of them are final; where that fails, says which are not and what became of them. */
async function allEnded(bus: Bus, ids: readonly string[], timeoutMs: number): Promise<void> {
  const wanted = new Set(ids);
  let open: unknown = 'nothing was listed';
  const check = async () => {
    const tasks = (await listTasks(bus)).filter(task => wanted.has(task.id));
    const left = tasks.filter(task => !isFinal(task.state));
    open = { listed: tasks.length, of: ids.length, left: left.slice(0, 3) };
    return tasks.length === ids.length && left.length === 0;
  };
  const tried = () =>
    check().catch((error: unknown) => {
      open = String(error);
      return false;
    });
  await until('all tasks to end', tried, timeoutMs).catch(async (error: Error) => {
    const lanes = await bus.lanes.list().catch(() => 'unknown');
    throw new Error(`${error.message}; open: ${JSON.stringify(open)}; lanes: ${JSON.stringify(lanes)}`);
  });
}

describe('a worker that is killed', () => {
  test('takes its command with it, and another worker finishes the task', async () => {
    const { bus, orch } = await setting();
    const pidFile = join(orch.home, 'pid');
    const first = orch.start(['worker', '--node', 'first']);
    await first.ready();
    const input = `if [ "$ORCH_NODE" = first ]; then echo $$ > ${pidFile}; sleep 300; fi; echo finished`;
    const { id } = await publishTask(bus, { input });
    const pid = await until('it to run', () => Number(safeRead(pidFile)));
    const second = orch.start(['worker', '--node', 'second']);
    await second.ready();
    first.kill('SIGKILL');
    await until('the command to be gone', () => !isRunning(pid));
    expect(await waitForTask(bus, id, AbortSignal.timeout(30_000))).toMatchObject({
      state: 'done',
      attempt: 2,
      node: 'second',
    });
    expect((await taskHistory(bus, id)).map(line => `${line.type} ${line.actor}`).slice(1)).toEqual([
      'claimed first',
      'claimed second',
      'done second',
    ]);
  });
});

describe('a worker that is stopped', () => {
  test('SIGTERM drains: the running command finishes, and the process ends with 0', async () => {
    const { bus, orch } = await setting();
    const worker = orch.start(['worker', '--node', 'w']);
    const go = join(orch.home, 'go');
    const { id } = await publishTask(bus, { input: `until [ -e ${go} ]; do sleep 0.05; done; echo done` });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    worker.kill('SIGTERM');
    await until('the drain', () => worker.stderr.includes('draining'));
    writeFileSync(go, '');
    expect((await worker.finished).code).toBe(0);
    expect(await getTask(bus, id)).toMatchObject({ state: 'done', attempt: 1 });
  });

  test('a second SIGTERM stops now: the command is ended and the task is back in the queue', async () => {
    const { bus, orch } = await setting();
    const worker = orch.start(['worker', '--node', 'w', '--grace', '200ms']);
    const { id } = await publishTask(bus, { input: 'sleep 300' });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    worker.kill('SIGTERM');
    await until('the drain', () => worker.stderr.includes('draining'));
    worker.kill('SIGTERM');
    expect((await worker.finished).code).toBe(0);
    expect(await getTask(bus, id)).toMatchObject({ state: 'queued', reason: 'drain', forgiven: 1 });
  });

  test('the drain has a limit of its own', async () => {
    const { bus, orch } = await setting();
    const worker = orch.start(['worker', '--drain-timeout', '300ms', '--grace', '200ms']);
    const { id } = await publishTask(bus, { input: 'sleep 300' });
    await until('it to run', async () => (await getTask(bus, id)).state === 'claimed');
    worker.kill('SIGTERM');
    expect((await worker.finished).code).toBe(0);
    expect((await getTask(bus, id)).state).toBe('queued');
  });
});

describe('a worker without a server', () => {
  test('waits for one, and can be stopped while it waits', async () => {
    const orch = new Orch('nats://127.0.0.1:1');
    cleanups.push(() => orch[Symbol.dispose]());
    const worker = orch.start(['worker']);
    await until('it to say so', () => worker.stderr.includes('no server answers yet'));
    worker.kill('SIGTERM');
    expect((await worker.finished).code).toBe(130);
  });
});

describe('a worker whose server dies while it starts', () => {
  test('is ready once the server is back, and can be stopped before that', async () => {
    const { nats, bus, orch } = await setting();
    const workers = Array.from({ length: 6 }, (_, i) => orch.start(['worker', '--node', `early-${i}`]));
    // Some are connected by now, some are not, and some are in the middle.
    await until('one to be there', async () => (await lookAtNodes(bus)).length > 0);
    await nats.kill();
    const patient = orch.start(['worker', '--node', 'patient']);
    await until('one to wait', () => patient.stderr.includes('no server answers yet'));
    patient.kill('SIGTERM');
    expect((await patient.finished).code).toBe(130);
    await nats.restart();
    for (const worker of workers) await worker.ready();
  });
});

describe('a publisher that is killed', () => {
  test('leaves no task half-published: what was acknowledged is run, and sending all again completes the rest', async () => {
    const { bus, orch } = await setting();
    const ids = Array.from({ length: 3_000 }, (_, i) => `killed-${i}`);
    const file = join(orch.home, 'tasks.ndjson');
    writeFileSync(
      file,
      ids.map(id => JSON.stringify({ id, input: 'true', capabilities: ['quick'] })).join('\n'),
    );
    const publisher = orch.start(['publish-task', '--from', file, '--json']);
    await until('some to be acknowledged', () => publisher.stdout.split('\n').length > 100);
    publisher.kill('SIGKILL');
    const { stdout } = await publisher.finished;
    const acknowledged = stdout
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line).id as string);
    const listed = new Set((await listTasks(bus)).map(task => task.id));
    expect(acknowledged.filter(id => !listed.has(id))).toEqual([]);
    expect((await orch.run(['publish-task', '--from', file])).code).toBe(0);
    const handler = join(orch.home, 'handler.mjs');
    writeFileSync(handler, 'export const handler = () => undefined;\n');
    orch.start(['worker', '--caps', 'quick', '--handler', handler, '--concurrency', '50']);
    await allEnded(bus, ids, 60_000);
    expect([...(await finalEntries(bus)).values()].filter(states => states.length !== 1)).toEqual([]);
  }, 120_000);
});

describe('a server that is killed under load', () => {
  test('loses no task, and each has one final entry', async () => {
    const { nats, bus, orch } = await setting();
    const handler = join(orch.home, 'handler.mjs');
    writeFileSync(handler, 'export const handler = () => new Promise(resolve => setTimeout(resolve, 20));\n');
    for (const node of ['a', 'b'])
      orch.start(['worker', '--node', node, '--handler', handler, '--concurrency', '10']);
    const acknowledged: string[] = [];
    const publishing = (async () => {
      for (let i = 0; i < 600; i++) {
        const id = newTaskId();
        // The same id again after an error is how a publisher finds out.
        await until('the publish', () => publishTask(bus, { id }).catch(() => undefined), 60_000);
        acknowledged.push(id);
      }
    })();
    for (let kills = 1; kills <= 2; kills++) {
      await until('some to be published', () => acknowledged.length > kills * 150);
      await nats.kill();
      await nats.restart();
    }
    await publishing;
    await allEnded(bus, acknowledged, 90_000);
    const finals = await finalEntries(bus);
    expect(acknowledged.filter(id => finals.get(id)?.length !== 1)).toEqual([]);
  }, 180_000);
});

describe('1,000 tasks over 5 workers that are killed at random', () => {
  test('every task ends with exactly one final entry', async () => {
    const { bus, orch } = await setting();
    const handler = join(orch.home, 'handler.mjs');
    mkdirSync(join(orch.home, 'data'), { recursive: true });
    writeFileSync(
      handler,
      'export const handler = () => new Promise(resolve => setTimeout(resolve, 30 + Math.random() * 90));\n',
    );
    const names = ['a', 'b', 'c', 'd', 'e'];
    const start = (name: string, life: number) =>
      orch.start([
        'worker',
        '--node',
        `${name}${life}`,
        '--caps',
        'chaos',
        '--handler',
        handler,
        '--concurrency',
        '4',
      ]);
    const workers = new Map(names.map(name => [name, { running: start(name, 0), life: 0 }]));
    const ids: string[] = [];
    const publish = (count: number) => {
      const added = Array.from({ length: count }, () => newTaskId());
      ids.push(...added);
      return Promise.all(added.map(id => publishTask(bus, { id, capabilities: ['chaos'], maxAttempts: 20 })));
    };
    await publish(1_000);
    const random = generator(20_260_131);
    let kills = 0;
    while (kills < 8) {
      const name = names[Math.floor(random() * names.length)] ?? 'a';
      const victim = workers.get(name);
      if (!victim) continue;
      await victim.running.ready();
      // On a slow machine the others may have done all tasks before it was ready.
      await until('it to be at work', async () => {
        if (victim.running.stderr.includes('attempt started')) return true;
        await publish(4);
        return false;
      });
      victim.running.kill('SIGKILL');
      await victim.running.finished;
      kills++;
      workers.set(name, { running: start(name, victim.life + 1), life: victim.life + 1 });
    }
    await allEnded(bus, ids, 90_000);
    const finals = await finalEntries(bus);
    expect(ids.filter(id => finals.get(id)?.length !== 1)).toEqual([]);
    const attempts = (await listTasks(bus, { lane: 'chaos' })).map(task => task.attempt ?? 0);
    // The kills hit something: some tasks needed another attempt.
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    expect((await bus.lanes.list()).find(lane => lane.lane === 'chaos')).toMatchObject({ waiting: 0 });
  }, 180_000);
});

function safeRead(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The same random numbers in each run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
