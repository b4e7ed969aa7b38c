// pg-boss on PostgreSQL. Its `work` sleeps for its polling interval after each batch however much is left; the loop here
// uses its `fetch` and `complete`, and sleeps only when there was nothing, for the shortest interval that `work` allows.
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import PgBoss from 'pg-boss';
import {
  LANE,
  type Payload,
  type Publisher,
  type ServeOptions,
  type Side,
  type WorkerOptions,
} from '../sides/side.ts';
import { query, servePostgres, vacuum } from './postgres.ts';

const POLL_MS = 500;
const CONNECTIONS = 20;
const ADMIN_SHUTDOWN = '57P01';

const pgBoss: Side = {
  name: 'pg-boss',
  hasLanes: true,
  serve: async (options: ServeOptions) => {
    const served = await servePostgres(options);
    const boss = await open(served.url);
    await boss.createQueue(LANE);
    await boss.stop({ graceful: false });
    const { default: manifest } = await import('pg-boss/package.json', { with: { type: 'json' } });
    return {
      ...served,
      facts: `pg-boss ${manifest.version}, polling every ${POLL_MS} ms, on ${served.facts}`,
    };
  },
  openPublisher,
  openWorker,
  left: async url => {
    const text = `select count(*) from pgboss.job where state < 'completed'`;
    const [row] = await query<{ count: string }>(url, text);
    return Number(row?.count);
  },
  finals: async url => {
    const text = `select id, count(*) from pgboss.job where state >= 'completed' group by id`;
    const rows = await query<{ id: string; count: string }>(url, text);
    return new Map(rows.map(({ id, count }) => [id, Number(count)]));
  },
  settle: vacuum,
  clear: async url => {
    await query(url, `delete from pgboss.job where state < 'completed'`);
  },
};

export const sides = { 'pg-boss': pgBoss };

async function open(url: string): Promise<PgBoss> {
  const boss = new PgBoss({ connectionString: url, max: CONNECTIONS, schedule: false });
  boss.on('error', (error: Error & { code?: string }) => {
    // The server stops while its pool still says goodbye.
    if (error.code !== ADMIN_SHUTDOWN) process.stderr.write(`pg-boss: ${error.message}\n`);
  });
  return boss.start();
}

async function openPublisher(url: string): Promise<Publisher> {
  const boss = await open(url);
  const known = new Map<string, Promise<void>>([[LANE, Promise.resolve()]]);
  const make = (lane: string): Promise<void> => {
    const made = known.get(lane) ?? boss.createQueue(lane);
    known.set(lane, made);
    return made;
  };
  return {
    publish: async (input, lane = LANE) => {
      if (lane !== LANE) await make(lane);
      return (await boss.send(lane, input)) ?? '';
    },
    publishMany: async (inputs, lane = LANE) => {
      if (lane !== LANE) await make(lane);
      const jobs = inputs.map(data => ({ id: randomUUID(), name: lane, data }));
      await boss.insert(jobs);
      return jobs.map(({ id }) => id);
    },
    close: () => boss.stop({ graceful: false }),
  };
}

async function openWorker(url: string, { slots, hooks, lanes }: WorkerOptions) {
  const boss = await open(url);
  for (const lane of lanes) await boss.createQueue(lane);
  const stopping = new AbortController();
  // Every lane's loop sleeps on it.
  setMaxListeners(lanes.length + 1, stopping.signal);
  const run = async ({ data: { n } }: PgBoss.Job<Payload>) => {
    const held = hooks.started(n);
    if (held) await held;
  };
  const serve = async (lane: string) => {
    while (!stopping.signal.aborted) {
      const jobs = (await boss.fetch<Payload>(lane, { batchSize: slots })) ?? [];
      if (jobs.length === 0) {
        await sleep(POLL_MS, undefined, { signal: stopping.signal }).catch(() => {});
        continue;
      }
      await Promise.all(jobs.map(run));
      await boss.complete(
        lane,
        jobs.map(({ id }) => id),
      );
      for (const { data } of jobs) hooks.ended(data.n);
    }
  };
  const serving = Promise.all(lanes.map(serve));
  return {
    close: async () => {
      stopping.abort();
      await serving;
      await boss.stop({ graceful: false });
    },
  };
}
