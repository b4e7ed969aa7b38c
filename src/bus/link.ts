// What the parts of the bus share: the connection, how it was asked for, and the client's manager of streams.
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { REQUEST_TIMEOUT_MS, type ServerOptions } from './connect.ts';
import type { ProvisionOptions } from './provision.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** Where the server is, who is calling, and what a stream is like where it must be created. */
export type BusOptions = ServerOptions & ProvisionOptions;

export class Link {
  readonly nc: NatsConnection;
  readonly options: BusOptions;
  /** How long a request may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly reader: Reader;
  readonly writer: Writer;
  #manager: Promise<JetStreamManager> | undefined;

  constructor(nc: NatsConnection, options: BusOptions) {
    this.nc = nc;
    this.options = options;
    this.timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    const { inboxPrefix } = options;
    this.reader = new Reader(nc, { inboxPrefix, timeoutMs: this.timeoutMs });
    this.writer = new Writer(nc, { inboxPrefix, timeoutMs: this.timeoutMs });
  }

  /** Loaded on first use: it is large, and most commands need none of it. */
  manager(): Promise<JetStreamManager> {
    this.#manager ??= import('./manager.ts').then(({ openManager }) => openManager(this.nc, this.timeoutMs));
    return this.#manager;
  }
}
