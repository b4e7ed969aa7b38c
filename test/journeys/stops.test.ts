// Every stop ends: whatever a worker is doing and whatever its server or its disk does, it is gone within its bounds.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { JOURNAL, TASKS } from '../../src/protocol/index.ts';
import { getTask, publishTask } from '../../src/tasks/index.ts';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { until } from '../support/wait.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setting() {
  const nats = await TestNats.start({ leaseMs: 4_000 });
  const orch = new Orch(nats.url);
  cleanups.push(
    () => nats[Symbol.asyncDispose](),
    () => orch[Symbol.dispose](),
  );
  return { nats, orch, bus: await nats.bus(), file: (name: string) => join(orch.home, name) };
}

const FLAGS = ['--drain-timeout', '1s', '--grace', '1s'];
/** Drain time-out and grace, five seconds for a last write, and a slow machine. */
const GONE_MS = 25_000;
/** The second signal: three seconds, and a slow machine. */
const GONE_NOW_MS = 12_000;

async function isGoneWithin(worker: Running, ms: number): Promise<boolean> {
  const late = new Promise<false>(resolve => setTimeout(() => resolve(false), ms).unref());
  return Promise.race([worker.finished.then(() => true), late]);
}

async function startWorker(orch: Orch): Promise<Running> {
  const worker = orch.start(['worker', '--node', 'stopped', ...FLAGS]);
  await worker.ready();
  return worker;
}

/** A task that tells its process id by a file, and runs on until the file `go` is there. */
const script = (home: string, end: string) =>
  `trap '' TERM; echo $$ > ${home}/pid; while [ ! -e ${home}/go ]; do sleep 0.1; done; ${end}; touch ${home}/ended`;

async function running(bus: Bus, orch: Orch, end = 'true'): Promise<{ pid: number }> {
  await publishTask(bus, { input: script(orch.home, end), maxAttempts: 5 }, 'tester');
  const pidFile = join(orch.home, 'pid');
  await until('the task to run', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').trim() !== '');
  return { pid: Number(readFileSync(pidFile, 'utf8')) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a worker whose server is away', () => {
  test('with a task that ignores SIGTERM is gone after drain time-out and grace, and so is the task', async () => {
    const { nats, orch, bus } = await setting();
    const worker = await startWorker(orch);
    const { pid } = await running(bus, orch);
    await nats.kill();
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, GONE_MS)).toBe(true);
    await until('the task to be gone', () => !isAlive(pid));
  });

  test('stops at once at the second signal', async () => {
    const { nats, orch, bus } = await setting();
    const worker = orch.start(['worker', '--node', 'stopped', '--drain-timeout', '1h', '--grace', '1h']);
    await worker.ready();
    const { pid } = await running(bus, orch);
    await nats.kill();
    worker.kill('SIGTERM');
    await until('the drain to begin', () => worker.stderr.includes('draining'));
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, GONE_NOW_MS)).toBe(true);
    await until('the task to be gone', () => !isAlive(pid));
  });

  test('and whose task has ended meanwhile is gone in time', async () => {
    const { nats, orch, bus, file } = await setting();
    const worker = await startWorker(orch);
    await running(bus, orch);
    await nats.kill();
    writeFileSync(file('go'), '');
    await until('the task to end', () => existsSync(file('ended')));
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, GONE_MS)).toBe(true);
  });

  test('and that uploads a large result is gone in time', async () => {
    const { nats, orch, bus, file } = await setting();
    const worker = await startWorker(orch);
    await running(bus, orch, 'head -c 300000 /dev/zero | tr "\\0" b > $ORCH_RESULT_FILE');
    await nats.kill();
    writeFileSync(file('go'), '');
    await until('the task to end', () => existsSync(file('ended')));
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, GONE_MS)).toBe(true);
  });
});

describe('a worker that', () => {
  test('cannot write its claim is gone in time', async () => {
    const { nats, orch, bus } = await setting();
    const nc = await connect({ servers: nats.url });
    cleanups.push(() => nc.close());
    await publishTask(bus, { id: 'unclaimed', input: 'true' }, 'tester');
    // The journal takes nothing more, as with a full disk.
    const manager = await jetstreamManager(nc);
    await manager.streams.update(JOURNAL, { max_bytes: 1, discard: 'new' as never });
    const worker = orch.start(['worker', '--node', 'stopped', ...FLAGS]);
    await until('the task to be delivered', async () => {
      const { num_ack_pending } = await manager.consumers.info(TASKS, 'medium_any');
      return num_ack_pending === 1;
    });
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, 2 * GONE_MS)).toBe(true);
    expect((await getTask(bus, 'unclaimed')).attempt).toBe(0);
  }, 120_000);

  test('is given a pipe for a result fails that attempt, serves others, and is gone in time', async () => {
    const { orch, bus } = await setting();
    const worker = orch.start(['worker', '--node', 'stopped', '--concurrency', '4', ...FLAGS]);
    await worker.ready();
    const pipes = await Promise.all(
      Array.from({ length: 4 }, () =>
        publishTask(bus, { input: 'mkfifo $ORCH_RESULT_FILE', maxAttempts: 1 }, 'tester'),
      ),
    );
    for (const { id } of pipes)
      await until('it to fail', async () => (await getTask(bus, id)).state === 'failed');
    expect((await getTask(bus, pipes[0]?.id ?? '')).error).toContain('not a regular file');
    const { id } = await publishTask(bus, { input: 'echo fine' }, 'tester');
    await until('another to be done', async () => (await getTask(bus, id)).state === 'done');
    worker.kill('SIGTERM');
    expect(await isGoneWithin(worker, GONE_MS)).toBe(true);
  });
});

describe('a worker as it is built', () => {
  test('stores a result that is too large for the journal', async () => {
    const { orch, bus } = await setting();
    const worker = await startWorker(orch);
    const input = 'head -c 100000 /dev/zero | tr "\\0" b > $ORCH_RESULT_FILE';
    const { id } = await publishTask(bus, { input, maxAttempts: 1 }, 'tester');
    await until('it to be done', async () => (await getTask(bus, id)).state === 'done');
    const { resultRef } = await getTask(bus, id);
    // JSON quotes it.
    expect((resultRef && (await bus.objects.get(resultRef)))?.length).toBe(100_002);
    worker.kill('SIGTERM');
    await worker.finished;
  });
});

describe('orch up', () => {
  test('with a task that ignores SIGTERM is gone in time, with its server', async () => {
    const orch = new Orch();
    cleanups.push(() => orch[Symbol.dispose]());
    const up = orch.start(['up', '--port', '0', ...FLAGS]);
    await up.ready();
    const port = await until('the welcome', () => /on port (\d+)/.exec(up.stdout)?.[1]);
    const url = `nats://127.0.0.1:${port}`;
    const input = script(orch.home, 'true');
    await orch.run(['publish-task', '-s', url, input]);
    await until('the task to run', () => existsSync(join(orch.home, 'pid')));
    up.kill('SIGINT');
    expect(await isGoneWithin(up, GONE_MS)).toBe(true);
    await expect(connect({ servers: url, reconnect: false })).rejects.toThrow();
  });
});
