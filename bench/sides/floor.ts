// The floor: publish, deliver, acknowledge, and nothing that makes it safe: no journal, no claim, no id that is taken
// once. What lies between it and the bare side is the price of the guarantees, not of orch.
import { randomUUID } from 'node:crypto';
import type { JsMsg } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { consumeWithSlots } from './consume.ts';
import { messagesIn, purge, serveNats } from './nats.ts';
import { LEASE_MS, type Payload, type Publisher, type Side, type WorkerOptions } from './side.ts';
import { Writes } from './writes.ts';

const FLOOR_TASKS = 'FLOOR_TASKS';
const CONSUMER = 'workers';

export const floor: Side = {
  name: 'floor',
  hasLanes: false,
  serve: options =>
    serveNats(options, async manager => {
      await manager.streams.add({ name: FLOOR_TASKS, subjects: ['floor.tasks.*'], retention: 'workqueue' });
      await manager.consumers.add(FLOOR_TASKS, {
        durable_name: CONSUMER,
        ack_policy: 'explicit',
        ack_wait: (options.leaseMs ?? LEASE_MS) * 1_000_000,
        max_ack_pending: 200_000,
      });
    }),
  openPublisher: openFloorPublisher,
  openWorker: openFloorWorker,
  left: url => messagesIn(url, FLOOR_TASKS),
  clear: url => purge(url, FLOOR_TASKS),
};

async function openFloorPublisher(url: string): Promise<Publisher> {
  const writes = new Writes(await connect({ servers: url, noAsyncTraces: true }));
  const publish = async (input: Payload) => {
    const id = randomUUID();
    await writes.write(`floor.tasks.${id}`, JSON.stringify(input));
    return id;
  };
  return {
    publish,
    close: () => writes.close(),
  };
}

async function openFloorWorker(url: string, { slots, hooks }: WorkerOptions) {
  const nc = await connect({ servers: url, noAsyncTraces: true });
  const run = async (msg: JsMsg) => {
    const { n } = msg.json<Payload>();
    const held = hooks.started(n);
    if (held) await held;
    msg.ack();
    hooks.ended(n);
  };
  const stop = await consumeWithSlots(nc, FLOOR_TASKS, [CONSUMER], slots, run);
  return {
    close: async () => {
      await stop();
      await nc.close();
    },
  };
}
