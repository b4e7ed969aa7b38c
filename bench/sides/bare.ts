// The least code on nats.js that gives a task the same guarantees with the same number of writes, made as fast as that
// client goes: `noAsyncTraces`, acknowledgements matched by a table of its own, messages fetched ahead.
//
// What it does, as orch does:
//  - a work-queue stream that holds a task once, and a journal; file storage, one replica, the same sync;
//  - publishing: the queue message and the `queued` entry side by side, each refused if the id is known;
//  - claiming: a `claimed` entry by compare-and-set before the handler starts, so that one of two claims is refused;
//  - ending: a `done` entry by compare-and-set on the claim, then the acknowledgement, which is not waited for.
// What it leaves out of orch:
//  - the board (a third stream, fed by the journal) and live events (the journal's republishing);
//  - priorities and capabilities: a lane is a name and a consumer;
//  - whole records in the entries, nonces, trace context, validation, limits;
//  - renewing leases, time limits, cancelling, retries, backoff, dead letters, output, logging;
//  - taking over a task whose worker died, and writing again after a lost connection.
import { type JetStreamManager, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { publishBare } from './bare-publisher.ts';
import { consumeWithSlots } from './consume.ts';
import { countIds, messagesIn, purge, serveNats } from './nats.ts';
import { LANE, LEASE_MS, type Payload, type Publisher, type Side, type WorkerOptions } from './side.ts';
import { Writes } from './writes.ts';

export const BARE_TASKS = 'BARE_TASKS';
const BARE_JOURNAL = 'BARE_JOURNAL';
const DONE = 'bare.journal.*.done.*';

export const bare: Side = {
  name: 'bare',
  hasLanes: true,
  serve: options => serveNats(options, provisionBare),
  openPublisher: openBarePublisher,
  openWorker: openBareWorker,
  left: url => messagesIn(url, BARE_TASKS),
  finals: url => countIds(url, BARE_JOURNAL, [DONE], 2),
  clear: url => purge(url, BARE_TASKS),
};

async function openBarePublisher(url: string, { results = false } = {}): Promise<Publisher> {
  const nc = await connect({ servers: url, noAsyncTraces: true });
  const writes = new Writes(nc);
  const publisher: Publisher = {
    publish: (input, lane) => publishBare(writes, input, lane),
    close: () => writes.close(),
  };
  if (!results) return publisher;
  const done = await hearDone(nc);
  return {
    ...publisher,
    async roundtrip(input) {
      const id = await publishBare(writes, input);
      await done(id);
      return id;
    },
  };
}

// One consumer receives all `done` entries; it may receive one before the publisher's own write is acknowledged.
async function hearDone(nc: NatsConnection): Promise<(id: string) => Promise<void>> {
  const early = new Set<string>();
  const waiting = new Map<string, () => void>();
  const consumer = await jetstream(nc).consumers.get(BARE_JOURNAL, {
    filter_subjects: DONE,
    deliver_policy: 'new',
  });
  await consumer.consume({
    callback: msg => {
      const id = msg.subject.split('.')[2] ?? '';
      const settle = waiting.get(id);
      if (!settle) early.add(id);
      waiting.delete(id);
      settle?.();
    },
  });
  return id => (early.delete(id) ? Promise.resolve() : new Promise(settle => void waiting.set(id, settle)));
}

async function openBareWorker(url: string, { slots, hooks, lanes }: WorkerOptions) {
  const nc = await connect({ servers: url, noAsyncTraces: true });
  const writes = new Writes(nc);
  const manager = await jetstreamManager(nc);
  for (const lane of lanes) await addLane(manager, lane);

  async function run(msg: JsMsg): Promise<void> {
    const id = msg.subject.slice(msg.subject.lastIndexOf('.') + 1);
    const { n } = msg.json<Payload>();
    try {
      const claimed = await append(id, 'claimed', 0);
      const held = hooks.started(n);
      if (held) await held;
      await append(id, 'done', claimed);
      msg.ack();
      hooks.ended(n);
    } catch (error) {
      hooks.failed(n, error);
    }
  }

  function append(id: string, type: string, last: number): Promise<number> {
    const entry = JSON.stringify({ id, type, at: new Date().toISOString(), actor: 'bench' });
    return writes.write(`bare.journal.${id}.${type}.bench`, entry, {
      last,
      filter: `bare.journal.${id}.*.*`,
    });
  }

  const stop = await consumeWithSlots(nc, BARE_TASKS, lanes, slots, run);
  return {
    close: async () => {
      await stop();
      await writes.close();
    },
  };
}

/** Makes the streams and the first lane; doing it again changes nothing. */
export async function provisionBare(manager: JetStreamManager): Promise<void> {
  await manager.streams.add({
    name: BARE_TASKS,
    subjects: ['bare.tasks.*.*.*'],
    retention: 'workqueue',
    max_msgs_per_subject: 1,
    discard: 'new',
    discard_new_per_subject: true,
  });
  await manager.streams.add({ name: BARE_JOURNAL, subjects: ['bare.journal.>'] });
  await addLane(manager, LANE);
}

const addLane = (manager: JetStreamManager, lane: string) =>
  manager.consumers.add(BARE_TASKS, {
    durable_name: lane,
    ack_policy: 'explicit',
    ack_wait: LEASE_MS * 1_000_000,
    max_ack_pending: 200_000,
    filter_subject: `bare.tasks.medium.${lane}.*`,
  });
