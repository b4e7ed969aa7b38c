// Lanes: the consumers of the queue, and the deliveries that they give out.
import { consumerCreatedAdvisory, laneConsumer, OrchError, type Priority, TASKS } from '../protocol/index.ts';
import { Delivery, redeliver } from './delivery.ts';
import { toOrchError } from './errors.ts';
import type { Link } from './link.ts';
import { findLane, type LaneInfo, listLanes, makeLane } from './provision.ts';
import { LanePull, type PullHandler } from './pull.ts';
import { subscribe } from './subscribe.ts';

export class Lanes {
  readonly #link: Link;
  readonly #known = new Map<string, Promise<void>>();

  constructor(link: Link) {
    this.#link = link;
  }

  /** Makes sure that a lane exists; asked once for each lane and connection. */
  ensure(priority: Priority, lane: string): Promise<void> {
    const consumer = laneConsumer(priority, lane);
    let known = this.#known.get(consumer);
    if (!known) {
      known = this.#make(priority, lane);
      this.#known.set(consumer, known);
      known.catch(() => this.#known.delete(consumer));
    }
    return known;
  }

  async #make(priority: Priority, lane: string): Promise<void> {
    if (!(await this.find(priority, lane)))
      await makeLane(await this.#link.manager(), priority, lane, this.#link.options);
  }

  /** Removes a lane; its tasks stay in the queue, and wait until it is there again. */
  async delete(priority: Priority, lane: string): Promise<void> {
    const consumer = laneConsumer(priority, lane);
    this.#known.delete(consumer);
    await (await this.#link.manager()).consumers.delete(TASKS, consumer);
  }

  /** One lane; undefined where no one has published to it yet. */
  find(priority: Priority, lane: string): Promise<LaneInfo | undefined> {
    return findLane(this.#link.nc, priority, lane, this.#link.timeoutMs);
  }

  async list(): Promise<LaneInfo[]> {
    try {
      return await listLanes(await this.#link.manager());
    } catch (error) {
      throw toOrchError(error, 'cannot list the lanes');
    }
  }

  /** Calls back when a lane's consumer appears anywhere; returns how to stop that. */
  onCreated(callback: () => void): () => void {
    return subscribe(this.#link.nc, consumerCreatedAdvisory(TASKS), callback);
  }

  /** A worker's end of a lane. */
  pull(consumer: string, handler: PullHandler): LanePull {
    return new LanePull(this.#link.nc, consumer, this.#link.options.inboxPrefix, handler);
  }

  /** What waits in a lane now, at most `batch` messages. Throws `unavailable` when the lane cannot be asked. */
  fetch(consumer: string, batch: number, rank: number): Promise<Delivery[]> {
    return new Promise((resolve, reject) => {
      const deliveries: Delivery[] = [];
      const pull = this.pull(consumer, {
        onDelivery: delivery => deliveries.push(delivery),
        onEnd: end => {
          // The end comes from within the pull.
          queueMicrotask(() => void pull.close());
          if (end === 'lost' && deliveries.length === 0)
            reject(new OrchError('unavailable', `lane ${consumer} does not answer`));
          else resolve(deliveries);
        },
      });
      pull.request({ batch, noWait: true, rank });
    });
  }

  /** A lease that was taken by another connection, from its acknowledgement subject. */
  resume(subject: string, ackSubject: string): Delivery {
    return new Delivery(this.#link.nc, { subject, reply: ackSubject, data: new Uint8Array() });
  }

  /** Has deliveries of a lane that no one acknowledges any more delivered again now, not when their leases run out. */
  async redeliver(consumer: string, queueSeqs: readonly number[]): Promise<void> {
    try {
      await redeliver(this.#link.nc, await this.#link.manager(), consumer, queueSeqs);
    } catch (error) {
      throw toOrchError(error, `cannot have the tasks of lane ${consumer} delivered again`);
    }
  }
}
