// The floor: publish, deliver, acknowledge, and nothing that makes it safe: no journal, no claim, no id that is taken
// once. What lies between it and the bare side is the price of the guarantees, not of orch.
import { randomUUID } from 'node:crypto';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Payload, Side, SideOptions } from './side.ts';

export const FLOOR_TASKS = 'FLOOR_TASKS';
const CONSUMER = 'workers';

/** A publisher and a worker on a work queue alone. */
export async function openFloor({ url, slots, hooks }: SideOptions): Promise<Side> {
  const publisher = await connect({ servers: url, noAsyncTraces: true });
  const worker = await connect({ servers: url, noAsyncTraces: true });
  const manager = await jetstreamManager(publisher);
  await manager.streams.add({ name: FLOOR_TASKS, subjects: ['floor.tasks.*'], retention: 'workqueue' });
  await manager.consumers.add(FLOOR_TASKS, {
    durable_name: CONSUMER,
    ack_policy: 'explicit',
    max_ack_pending: 200_000,
  });
  const consumer = await jetstream(worker).consumers.get(FLOOR_TASKS, CONSUMER);
  const messages = await consumer.consume({
    max_messages: slots,
    callback: msg => {
      const { n } = msg.json<Payload>();
      hooks.started(n);
      msg.ack();
      hooks.ended(n);
    },
  });
  const js = jetstream(publisher);
  return {
    name: 'floor',
    publish: async payload => {
      const id = randomUUID();
      await js.publish(`floor.tasks.${id}`, JSON.stringify(payload));
      return id;
    },
    close: async () => {
      await messages.close();
      await worker.close();
      await publisher.close();
    },
  };
}
