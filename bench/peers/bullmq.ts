// BullMQ on Redis, with the settings that its guide asks for in production: an append-only file, no eviction.
// `always` is appendfsync always; any other sync is everysec, the longest that Redis offers.
import { createConnection } from 'node:net';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { freePort } from '../../src/server/index.ts';
import {
  LANE,
  type Payload,
  type Publisher,
  type Served,
  type ServeOptions,
  type Side,
  type WorkerOptions,
} from '../sides/side.ts';
import { startPeer, versionOf } from './server.ts';

const ADVICE = 'apt-get install redis-server, see bench/peers/README.md';
const JOB = 'task';
const WAITING = ['wait', 'prioritized', 'delayed', 'active'] as const;
const ENDED = ['completed', 'failed'] as const;
/** A result that takes longer is lost. */
const RESULT_MS_MAX = 30_000;
/** Ids in one reply. */
const PAGE = 10_000;

/** The lanes of this process's publishers, by server. */
const lanesOf = new Map<string, Set<string>>();

const bullmq: Side = {
  name: 'bullmq',
  hasLanes: true,
  serve,
  openPublisher,
  openWorker,
  openTail: async (url, onEnd) => {
    const events = new QueueEvents(LANE, { connection: { url } });
    events.on('completed', ({ jobId }) => onEnd(idOf(LANE, jobId)));
    events.on('failed', ({ jobId }) => onEnd(idOf(LANE, jobId)));
    await events.waitUntilReady();
    return events;
  },
  left: async url => {
    const counts = await eachQueue(url, queue => queue.getJobCountByTypes(...WAITING));
    return counts.reduce((sum, count) => sum + count, 0);
  },
  finals: async url => {
    const ends = new Map<string, number>();
    await eachQueue(url, async queue => {
      for (let from = 0; ; from += PAGE) {
        const ids = await queue.getRanges([...ENDED], from, from + PAGE - 1);
        for (const id of ids.map(one => idOf(queue.name, one))) ends.set(id, (ends.get(id) ?? 0) + 1);
        if (ids.length === 0) return;
      }
    });
    return ends;
  },
  clear: async url => {
    await eachQueue(url, queue => queue.drain(true));
  },
};

export const sides = { bullmq };

async function serve({ dataDir, sync }: ServeOptions): Promise<Served> {
  const [, version = 'unknown'] = /v=(\S+)/.exec(versionOf('redis-server', ADVICE)) ?? [];
  const port = await freePort();
  const appendfsync = sync === 'always' ? 'always' : 'everysec';
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: dataDir,
    save: '',
    appendonly: 'yes',
    appendfsync,
    'maxmemory-policy': 'noeviction',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await startPeer(['redis-server', ...flags], { dataDir, isReady: () => answers(port) });
  const facts = `BullMQ ${await bullmqVersion()} on Redis ${version}, appendonly yes, appendfsync ${appendfsync}, no replica`;
  return { url: `redis://127.0.0.1:${port}`, ...server, facts };
}

async function openPublisher(url: string, { results = false } = {}): Promise<Publisher> {
  const queues = new Map<string, Queue>();
  const queueOf = (lane: string): Queue => {
    const known = queues.get(lane);
    if (known) return known;
    const queue = new Queue(lane, { connection: { url } });
    queues.set(lane, queue);
    lanesOf.set(url, (lanesOf.get(url) ?? new Set()).add(lane));
    return queue;
  };
  const events = results ? new QueueEvents(LANE, { connection: { url } }) : undefined;
  await events?.waitUntilReady();
  await queueOf(LANE).waitUntilReady();
  return {
    publish: async (input, lane = LANE) => idOf(lane, (await queueOf(lane).add(JOB, input)).id),
    publishMany: async (inputs, lane = LANE) =>
      (await queueOf(lane).addBulk(inputs.map(data => ({ name: JOB, data })))).map(({ id }) =>
        idOf(lane, id),
      ),
    roundtrip: async input => {
      if (!events) throw new Error('opened without results');
      const job = await queueOf(LANE).add(JOB, input);
      await job.waitUntilFinished(events, RESULT_MS_MAX);
      return idOf(LANE, job.id);
    },
    close: async () => {
      await events?.close();
      for (const queue of queues.values()) await queue.close();
    },
  };
}

// Each queue counts its own.
const idOf = (lane: string, id: string | undefined): string => `${lane}:${id}`;

async function openWorker(url: string, { slots, hooks, lanes, leaseMs }: WorkerOptions) {
  const lease = leaseMs === undefined ? {} : { lockDuration: leaseMs, stalledInterval: leaseMs };
  const workers = lanes.map(lane => {
    const worker = new Worker<Payload>(
      lane,
      async ({ data }) => {
        const held = hooks.started(data.n);
        if (held) await held;
        return { n: data.n };
      },
      { connection: { url }, concurrency: slots, ...lease },
    );
    worker.on('completed', ({ data }) => hooks.ended(data.n));
    worker.on('failed', (job, error) => job && hooks.failed(job.data.n, error));
    worker.on('error', error => process.stderr.write(`bullmq: ${error.message}\n`));
    return worker;
  });
  await Promise.all(workers.map(worker => worker.waitUntilReady()));
  return {
    close: async () => {
      await Promise.all(workers.map(worker => worker.close()));
    },
  };
}

async function eachQueue<T>(url: string, ask: (queue: Queue) => Promise<T>): Promise<T[]> {
  const answers: T[] = [];
  for (const lane of lanesOf.get(url) ?? []) {
    const queue = new Queue(lane, { connection: { url } });
    answers.push(await ask(queue));
    await queue.close();
  }
  return answers;
}

async function bullmqVersion(): Promise<string> {
  const { default: manifest } = await import('bullmq/package.json', { with: { type: 'json' } });
  return manifest.version;
}

// Its own protocol's ping, which is not answered while it loads.
function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const settle = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    socket.once('data', text => settle(text.toString().startsWith('+PONG')));
    socket.once('error', () => settle(false)).setTimeout(1_000, () => settle(false));
  });
}
