// The least code on nats.js that gives a task the same guarantees with the same number of writes.
//
// What it does, as orch does:
//  - a work-queue stream that holds a task once, and a journal; file storage, one replica, the same sync;
//  - publishing: the queue message and the `queued` entry side by side, each refused if the id is known;
//  - claiming: a `claimed` entry by compare-and-set before the handler starts, so that one of two claims is refused;
//  - ending: a `done` entry by compare-and-set on the claim, then the acknowledgement, which is not waited for.
// What it leaves out of orch:
//  - the board (a third stream, fed by the journal) and live events (the journal's republishing);
//  - capabilities, priorities and lanes: one consumer, no priority group;
//  - whole records in the entries, nonces, trace context, validation, limits;
//  - renewing leases, time limits, cancelling, retries, backoff, dead letters, output, results, logging;
//  - taking over a task whose worker died, and writing again after a lost connection.
// `consume` keeps the next messages coming while handlers run. orch asks for no more than it has free slots; in a load
// that never has more tasks in flight than slots, that is the same number of handlers.
import { randomUUID } from 'node:crypto';
import { type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Payload, Side, SideOptions } from './side.ts';

export const BARE_TASKS = 'BARE_TASKS';
export const BARE_JOURNAL = 'BARE_JOURNAL';
const CONSUMER = 'workers';

/** A publisher and a worker of the bare kind. */
export async function openBare({ url, slots, hooks }: SideOptions): Promise<Side> {
  const publisher = await connect({ servers: url, noAsyncTraces: true });
  const worker = await connect({ servers: url, noAsyncTraces: true });
  await provisionBare(await jetstreamManager(publisher));
  const js = jetstream(worker);
  const consumer = await js.consumers.get(BARE_TASKS, CONSUMER);

  async function run(msg: JsMsg): Promise<void> {
    const id = msg.subject.slice(msg.subject.lastIndexOf('.') + 1);
    const { n } = msg.json<Payload>();
    try {
      const claimed = await append(id, 'claimed', 0);
      hooks.started(n);
      await append(id, 'done', claimed);
      msg.ack();
      hooks.ended(n);
    } catch (error) {
      hooks.failed(n, error);
    }
  }

  async function append(id: string, type: string, lastSubjectSequence: number): Promise<number> {
    const entry = JSON.stringify({ id, type, at: new Date().toISOString(), actor: 'bench' });
    const { seq } = await js.publish(`bare.journal.${id}.${type}.bench`, entry, {
      expect: { lastSubjectSequence, lastSubjectSequenceSubject: `bare.journal.${id}.*.*` },
    });
    return seq;
  }

  const messages = await consumer.consume({ max_messages: slots, callback: msg => void run(msg) });
  const publish = barePublisher(jetstream(publisher));
  return {
    name: 'bare',
    publish,
    close: async () => {
      await messages.close();
      await worker.close();
      await publisher.close();
    },
  };
}

/** Publishes tasks of the bare kind. */
export function barePublisher(js: ReturnType<typeof jetstream>): (payload: unknown) => Promise<string> {
  return async payload => {
    const id = randomUUID();
    const entry = JSON.stringify({ id, type: 'queued', at: new Date().toISOString(), actor: 'bench' });
    await Promise.all([
      // One token more than the other entries, so that a claim expects nothing and needs no read.
      js.publish(`bare.journal.${id}.queued.bench.any`, entry, {
        expect: { lastSubjectSequence: 0, lastSubjectSequenceSubject: `bare.journal.${id}.>` },
      }),
      js.publish(`bare.tasks.medium.any.${id}`, JSON.stringify(payload), {
        expect: { lastSubjectSequence: 0, lastSubjectSequenceSubject: `bare.tasks.*.*.${id}` },
      }),
    ]);
    return id;
  };
}

/** Makes the streams and the consumer; doing it again changes nothing. */
export async function provisionBare(manager: Awaited<ReturnType<typeof jetstreamManager>>): Promise<void> {
  await manager.streams.add({
    name: BARE_TASKS,
    subjects: ['bare.tasks.*.*.*'],
    retention: 'workqueue',
    max_msgs_per_subject: 1,
    discard: 'new',
    discard_new_per_subject: true,
  });
  await manager.streams.add({ name: BARE_JOURNAL, subjects: ['bare.journal.>'] });
  await manager.consumers.add(BARE_TASKS, {
    durable_name: CONSUMER,
    ack_policy: 'explicit',
    ack_wait: 15_000_000_000,
    max_ack_pending: 200_000,
    filter_subject: 'bare.tasks.medium.any.*',
  });
}
