// graphile-worker on PostgreSQL, twice: plain, where each slot fetches its next job, and with the local queue and the
// batching of its own performance test. A lane is a task identifier.
// A job's end is read from its own event, which comes when the completion is sent and not when it is committed: that
// flatters it by one commit. Ended jobs are deleted, so there are no records of ends.
import { Logger, makeWorkerUtils, run, type TaskList, WorkerPreset } from 'graphile-worker';
import pg from 'pg';
import type { SideName } from '../settings.ts';
import {
  LANE,
  type Payload,
  type Publisher,
  type ServeOptions,
  type Side,
  type WorkerOptions,
} from '../sides/side.ts';
import { query, servePostgres, vacuum } from './postgres.ts';

const LOCAL_QUEUE = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const PUBLISHER_CONNECTIONS = 20;
/** A slot each, one to listen and one to spare, as its documentation advises. */
const SPARE_CONNECTIONS = 2;

// Errors only: a line for each job is not what is measured.
const logger = new Logger(() => (level, message) => {
  if (level === 'error') process.stderr.write(`graphile-worker: ${message}\n`);
});

const graphile = (name: SideName, isLocal: boolean): Side => ({
  name,
  hasLanes: true,
  serve: async (options: ServeOptions) => {
    const served = await servePostgres(options);
    const publisher = await openPublisher(served.url);
    await publisher.close();
    const { default: manifest } = await import('graphile-worker/package.json', { with: { type: 'json' } });
    const batching = isLocal ? ', localQueue 500, completeJobBatchDelay 0' : '';
    return { ...served, facts: `graphile-worker ${manifest.version}${batching} on ${served.facts}` };
  },
  openPublisher,
  openWorker: (url, options) => openWorker(url, options, isLocal),
  left: async url => {
    const [row] = await query<{ count: string }>(url, 'select count(*) from graphile_worker._private_jobs');
    return Number(row?.count);
  },
  settle: vacuum,
  clear: async url => {
    await query(url, 'truncate graphile_worker._private_jobs');
  },
});

export const sides = {
  'graphile-worker': graphile('graphile-worker', false),
  'graphile-local': graphile('graphile-local', true),
};

// A server that stops ends idle connections, which is no error of anybody's.
const openPool = (connectionString: string, max: number): pg.Pool =>
  new pg.Pool({ connectionString, max })
    .on('error', () => {})
    .on('connect', client => client.on('error', () => {}));

async function openPublisher(url: string): Promise<Publisher> {
  const pgPool = openPool(url, PUBLISHER_CONNECTIONS);
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  return {
    publish: async (payload, lane = LANE) => (await utils.addJob(lane, payload)).id,
    publishMany: async (payloads, lane = LANE) =>
      (await utils.addJobs(payloads.map(payload => ({ identifier: lane, payload })))).map(({ id }) => id),
    close: async () => {
      await utils.release();
      await pgPool.end();
    },
  };
}

async function openWorker(url: string, { slots, hooks, lanes }: WorkerOptions, isLocal: boolean) {
  const task = async (payload: unknown) => {
    const held = hooks.started((payload as Payload).n);
    if (held) await held;
  };
  const taskList: TaskList = Object.fromEntries(lanes.map(lane => [lane, task]));
  const pgPool = openPool(url, slots + SPARE_CONNECTIONS);
  const runner = await run({
    pgPool,
    taskList,
    concurrency: slots,
    noHandleSignals: true,
    logger,
    ...(isLocal ? { preset: { extends: [WorkerPreset], worker: LOCAL_QUEUE } } : {}),
  });
  runner.events.on('job:complete', ({ job, error }) => {
    const { n } = job.payload as Payload;
    if (error) hooks.failed(n, error);
    else hooks.ended(n);
  });
  return {
    close: async () => {
      await runner.stop();
      await pgPool.end();
    },
  };
}
