// The worker's end of one lane: at most one pull request is open at a time, and it is always let run out.
// A pull that is cancelled while a message is under way would lose that message until its lease ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { ackPrefix, PRIORITY_GROUP, pullSubject, TASKS } from '../protocol/index.ts';
import { LateAcks } from './acks.ts';
import { Delivery } from './delivery.ts';

/** How long an idle pull stays open. */
export const PULL_EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 5_000;
const NO_WAIT_TIMEOUT_MS = 2_000;
/** A server that is away has nothing on its way. */
const DRAIN_MS = 1_000;

/** `empty`: nothing waits in the lane. `expired`: it ran out. `lost`: no consumer, no leader or no connection. */
export type PullEnd = 'filled' | 'empty' | 'expired' | 'lost';

export interface PullHandler {
  onDelivery(delivery: Delivery): void;
  /** The open pull is over; called once a pull, after its last delivery. */
  onEnd(end: PullEnd): void;
}

export class LanePull {
  readonly #nc: NatsConnection;
  readonly #consumer: string;
  readonly #handler: PullHandler;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #lateAcks = new LateAcks();
  #open: { left: number; silence: NodeJS.Timeout } | undefined;

  constructor(nc: NatsConnection, consumer: string, inboxPrefix: string | undefined, handler: PullHandler) {
    this.#nc = nc;
    this.#consumer = consumer;
    this.#handler = handler;
    this.#inbox = createInbox(inboxPrefix);
    this.#subscription = nc.subscribe(this.#inbox, { callback: (_error, msg) => this.#receive(msg) });
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Asks for up to `batch` messages: those that wait now (`noWait`), or the next ones for as long as a pull stays open.
   * `rank` 0..9: idle workers of a lower rank are served first.
   */
  request({ batch, noWait, rank }: { batch: number; noWait: boolean; rank: number }): void {
    if (this.#open) return;
    const silenceMs = noWait ? NO_WAIT_TIMEOUT_MS : 2 * HEARTBEAT_MS;
    const silence = setTimeout(() => this.#end('lost'), silenceMs);
    this.#open = { left: batch, silence };
    const body = {
      batch,
      group: PRIORITY_GROUP,
      priority: rank,
      ...(noWait
        ? { no_wait: true }
        : { expires: PULL_EXPIRES_MS * 1_000_000, idle_heartbeat: HEARTBEAT_MS * 1_000_000 }),
    };
    try {
      this.#nc.publish(pullSubject(TASKS, this.#consumer), JSON.stringify(body), {
        reply: this.#inbox,
      });
    } catch {
      // A closing connection: the silence ends the pull.
    }
  }

  /** Forgets the open pull: the server forgot it too, with the connection. */
  reset(): void {
    if (this.#open) this.#end('lost');
  }

  /** Ends the lane; what is on its way already is still delivered, to be given back, before this returns. */
  async close(): Promise<void> {
    clearTimeout(this.#open?.silence);
    this.#open = undefined;
    this.#lateAcks.flush();
    const drained = this.#subscription.drain().catch(() => {});
    await Promise.race([drained, sleep(DRAIN_MS, undefined, { ref: false })]);
  }

  #receive(msg: Msg): void {
    if (msg.reply?.startsWith(ackPrefix)) {
      const open = this.#open;
      if (open) {
        open.left--;
        open.silence.refresh();
      }
      this.#handler.onDelivery(new Delivery(this.#nc, msg, this.#lateAcks));
      if (open && open.left === 0) this.#end('filled');
      return;
    }
    const code = msg.headers?.code ?? 0;
    if (code === 100) this.#open?.silence.refresh();
    else if (code !== 0 && this.#open) this.#end(code === 404 ? 'empty' : code === 408 ? 'expired' : 'lost');
  }

  #end(end: PullEnd): void {
    clearTimeout(this.#open?.silence);
    this.#open = undefined;
    this.#handler.onEnd(end);
  }
}
