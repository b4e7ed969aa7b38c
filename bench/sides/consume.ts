// Brings messages to a bounded number of handlers, some fetched ahead so that none waits for a round trip.
import { type ConsumerMessages, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** Messages kept ready for each slot, and at least so many. */
const AHEAD = 2;
const AHEAD_MIN = 100;

/** Runs at most `slots` at once; `run` must not reject. Returns what stops it and waits for those that run. */
export async function consumeWithSlots(
  nc: NatsConnection,
  stream: string,
  consumers: readonly string[],
  slots: number,
  run: (msg: JsMsg) => Promise<void>,
): Promise<() => Promise<void>> {
  const ready: JsMsg[] = [];
  const running = new Set<Promise<void>>();
  let isOpen = true;
  const fill = () => {
    while (isOpen && running.size < slots) {
      const msg = ready.shift();
      if (!msg) return;
      const work: Promise<void> = run(msg).finally(() => {
        running.delete(work);
        fill();
      });
      running.add(work);
    }
  };
  const streams: ConsumerMessages[] = [];
  for (const name of consumers) {
    const consumer = await jetstream(nc).consumers.get(stream, name);
    const ahead = Math.max(AHEAD_MIN, AHEAD * slots);
    const callback = (msg: JsMsg) => {
      ready.push(msg);
      fill();
    };
    streams.push(await consumer.consume({ max_messages: ahead, callback }));
  }
  return async () => {
    isOpen = false;
    await Promise.all(streams.map(messages => messages.close()));
    await Promise.all(running);
    for (const msg of ready) msg.nak();
    await nc.flush();
  };
}
