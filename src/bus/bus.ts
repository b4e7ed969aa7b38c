// The bus: one connection, and all that orch asks of NATS, in named parts. Rooms above never import @nats-io; what a
// worker with restricted credentials may not do is asked for here and so can be replaced here.
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { Buckets } from './bucket.ts';
import { connectToServer } from './connect.ts';
import { Lanes } from './lanes.ts';
import { type BusOptions, Link } from './link.ts';
import { Objects } from './objects.ts';
import { Requests } from './requests.ts';
import { Server } from './server.ts';
import { Streams } from './streams.ts';

/** A server that is away does not hold up the exit. */
const CLOSE_FLUSH_MS = 1_000;

/** Connects and returns the bus. Throws `unavailable`, `unsupported`, `denied` or `usage`. */
export async function openBus(options: BusOptions = {}): Promise<Bus> {
  return new Bus(await connectToServer(options), options);
}

export class Bus {
  readonly #link: Link;
  readonly streams: Streams;
  readonly lanes: Lanes;
  readonly buckets: Buckets;
  readonly objects: Objects;
  readonly requests: Requests;
  readonly server: Server;

  constructor(nc: NatsConnection, options: BusOptions = {}) {
    this.#link = new Link(nc, options);
    this.streams = new Streams(this.#link);
    this.lanes = new Lanes(this.#link);
    this.buckets = new Buckets(this.#link);
    this.objects = new Objects(this.#link);
    this.requests = new Requests(this.#link);
    this.server = new Server(this.#link);
  }

  /** How long a request may take, in milliseconds. */
  get timeoutMs(): number {
    return this.#link.timeoutMs;
  }

  get isClosed(): boolean {
    return this.#link.nc.isClosed();
  }

  /** Sends what is buffered and closes; safe to call twice. */
  async close(): Promise<void> {
    const { nc, writer } = this.#link;
    if (nc.isClosed()) return;
    await Promise.race([nc.flush().catch(() => {}), sleep(CLOSE_FLUSH_MS, undefined, { ref: false })]);
    writer.close();
    await nc.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
