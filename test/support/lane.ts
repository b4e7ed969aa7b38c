// Takes deliveries from a lane by hand, to act out what a worker would do, step by step.
import type { Bus, Delivery, LanePull } from '../../src/bus/index.ts';
import { laneConsumer, type Priority } from '../../src/protocol/index.ts';
import { type Attempt, claim } from '../../src/tasks/index.ts';
import { TEST_LEASE_MS } from './nats.ts';

/** The next delivery of a lane. */
export function nextDelivery(bus: Bus, lane = 'any', priority: Priority = 'medium'): Promise<Delivery> {
  return new Promise((resolve, reject) => {
    const pull: LanePull = bus.lanes.pull(laneConsumer(priority, lane), {
      onDelivery: delivery => {
        resolve(delivery);
        queueMicrotask(() => void pull.close());
      },
      onEnd: end => end !== 'filled' && reject(new Error(`the pull ended: ${end}`)),
    });
    pull.request({ batch: 1, noWait: false, rank: 0 });
  });
}

/** Takes the next delivery of a lane and claims it; fails when the claim is not won. */
export async function nextAttempt(bus: Bus, actor: string, lane?: string): Promise<Attempt> {
  const outcome = await claim(bus, await nextDelivery(bus, lane), { actor, leaseMs: TEST_LEASE_MS });
  if (outcome.kind !== 'claimed') throw new Error(`not claimed: ${JSON.stringify(outcome)}`);
  return outcome.attempt;
}
