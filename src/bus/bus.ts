// The bus: one connection, and all that orch asks of NATS. Rooms above never import @nats-io; what a worker with
// restricted credentials may not do is asked for here and so can be replaced here.
import { setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import {
  CONTENT_TYPE,
  encode,
  encodingOf,
  laneConsumer,
  MSGPACK,
  OrchError,
  PROTOCOL_METADATA,
  type Priority,
  type ProtocolRange,
  parseProtocol,
  type ResultReference,
  TASKS,
} from '../protocol/index.ts';
import { type Asked, ask, type GatherOptions, gather } from './ask.ts';
import { Bucket } from './bucket.ts';
import {
  connectToServer,
  DEFAULT_SERVER,
  REQUEST_TIMEOUT_MS,
  type ServerOptions,
  withoutCredentials,
} from './connect.ts';
import { Delivery, redeliver } from './delivery.ts';
import { toOrchError } from './errors.ts';
import {
  findLane,
  inspectStreams,
  type LaneInfo,
  listLanes,
  makeLane,
  type ProvisionOptions,
  provision,
  type StreamReport,
} from './provision.ts';
import { LanePull, type PullHandler } from './pull.ts';
import { type RangeOptions, Reader, type Stored } from './reader.ts';
import type { Service, ServiceOptions } from './service.ts';
import type { TailOptions } from './tail.ts';
import { type WriteOptions, type WriteOutcome, Writer } from './writer.ts';

/** A server that is away does not hold up the exit. */
const CLOSE_FLUSH_MS = 1_000;

/** Where the server is, who is calling, and what a stream is like where it must be created. */
export type BusOptions = ServerOptions & ProvisionOptions;

export interface ServerFacts {
  name: string;
  version: string;
  url: string;
  cluster: string | undefined;
  rttMs: number;
  /** JetStream storage of the account, in bytes; -1 = no limit. */
  storage: number;
  storageMax: number;
  memory: number;
  memoryMax: number;
}

/** Connects and returns the bus. Throws `unavailable`, `unsupported`, `denied` or `usage`. */
export async function openBus(options: BusOptions = {}): Promise<Bus> {
  return new Bus(await connectToServer(options), options);
}

export class Bus {
  readonly #nc: NatsConnection;
  readonly #options: BusOptions;
  #opened: Promise<JetStreamManager> | undefined;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #knownLanes = new Map<string, Promise<void>>();
  readonly #onReconnect = new Set<() => void>();
  #isConnected = true;
  #reconnects = 0;
  /** How long a request may take, in milliseconds. */
  readonly timeoutMs: number;

  constructor(nc: NatsConnection, options: BusOptions = {}) {
    this.timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#nc = nc;
    this.#options = options;
    this.#reader = new Reader(nc, { inboxPrefix: options.inboxPrefix, timeoutMs: this.timeoutMs });
    this.#writer = new Writer(nc, {
      inboxPrefix: options.inboxPrefix,
      timeoutMs: this.timeoutMs,
    });
    void this.#watchConnection();
  }

  // -- streams

  write(subject: string, bytes: Uint8Array, options?: WriteOptions): Promise<WriteOutcome> {
    return this.#writer.write(subject, bytes, options);
  }

  last(stream: string, filter: string, from?: 'replica' | 'leader'): Promise<Stored | undefined> {
    return this.#reader.last(stream, filter, from);
  }

  first(stream: string, filter: string): Promise<Stored | undefined> {
    return this.#reader.first(stream, filter);
  }

  bySequence(stream: string, seq: number, from?: 'replica' | 'leader'): Promise<Stored | undefined> {
    return this.#reader.bySequence(stream, seq, from);
  }

  range(stream: string, options: RangeOptions): AsyncGenerator<Stored> {
    return this.#reader.range(stream, options);
  }

  async *tail(stream: string, options: TailOptions): AsyncGenerator<Stored> {
    const { tail } = await import('./tail.ts');
    yield* tail(this.#nc, stream, options);
  }

  /** Removes the message with this sequence; true when it was there. */
  async deleteMessage(stream: string, seq: number): Promise<boolean> {
    const manager = await this.#manager();
    return manager.streams.deleteMessage(stream, seq, false).catch(() => false);
  }

  /** Removes all messages on a filter; returns how many. */
  async purge(stream: string, filter: string): Promise<number> {
    try {
      return (await (await this.#manager()).streams.purge(stream, { filter })).purged;
    } catch (error) {
      throw toOrchError(error, `cannot remove ${filter}`);
    }
  }

  /** The subjects on a filter that a stream holds messages of, at most 100,000. */
  async subjects(stream: string, filter: string): Promise<string[]> {
    try {
      const info = await (await this.#manager()).streams.info(stream, { subjects_filter: filter });
      return Object.keys(info.state.subjects ?? {});
    } catch (error) {
      throw toOrchError(error, `cannot list the subjects of ${stream}`);
    }
  }

  // -- buckets

  /** The KV bucket behind a stream, such as `KV_orch-nodes`. */
  bucket(stream: string): Bucket {
    return new Bucket(stream, this.#reader, this.#writer);
  }

  // -- events

  /**
   * Hears live messages on a subject. What the callback throws goes to `onError`, and the subscription lives on.
   * Headers are parsed when they are asked for.
   */
  subscribe(
    subject: string,
    callback: (subject: string, bytes: Uint8Array, message: { headers?: MsgHdrs }) => void,
    onError: (error: unknown) => void = () => {},
  ): () => void {
    const subscription = this.#nc.subscribe(subject, {
      callback: (error, msg) => {
        if (error) return onError(error);
        try {
          callback(msg.subject, msg.data, msg);
        } catch (thrown) {
          onError(thrown);
        }
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Calls back after each reconnect: what was sent while the server was away is gone. */
  onReconnect(callback: () => void): () => void {
    this.#onReconnect.add(callback);
    return () => this.#onReconnect.delete(callback);
  }

  // -- requests

  /** Asks whoever serves a subject. */
  ask(subject: string, body: unknown, timeoutMs: number): Promise<Asked> {
    return ask(this.#nc, subject, body, timeoutMs);
  }

  /** Asks all who serve a subject; returns at the deadline, or when the last expected one was heard. */
  gather(subject: string, body: unknown, options: Omit<GatherOptions, 'inboxPrefix'>): Promise<void> {
    return gather(this.#nc, subject, body, { ...options, inboxPrefix: this.#options.inboxPrefix });
  }

  /** Begins to be a micro service that answers requests. */
  async service(options: ServiceOptions): Promise<Service> {
    const { Service } = await import('./service.ts');
    return Service.start(this.#nc, options);
  }

  /** Answers requests on a subject, each in the encoding that it came in. */
  serve(subject: string, answer: (subject: string) => unknown): () => void {
    const subscription = this.#nc.subscribe(subject, {
      callback: (error, msg) => {
        if (error) return;
        const contentType = msg.headers?.get(CONTENT_TYPE);
        const encoding = encodingOf(contentType);
        const reply = headers();
        if (encoding === 'msgpack') reply.set(CONTENT_TYPE, MSGPACK);
        msg.respond(encode(answer(msg.subject), encoding), { headers: reply });
      },
    });
    return () => subscription.unsubscribe();
  }

  /** How many messages a stream holds. */
  async messageCount(stream: string): Promise<number> {
    try {
      return (await (await this.#manager()).streams.info(stream)).state.messages;
    } catch (error) {
      throw toOrchError(error, `cannot read stream ${stream}`);
    }
  }

  /** The protocol that the cluster's streams are written in. */
  async protocol(): Promise<ProtocolRange> {
    try {
      const { config } = await (await this.#manager()).streams.info(TASKS);
      return parseProtocol(config.metadata?.[PROTOCOL_METADATA]) ?? { min: 1, max: 1 };
    } catch (error) {
      throw toOrchError(error, `cannot read stream ${TASKS}`);
    }
  }

  // -- lanes

  async provision(): Promise<void> {
    return provision(await this.#manager(), this.#options);
  }

  /** Makes sure that a lane exists; asked once for each lane and connection. */
  ensureLane(priority: Priority, lane: string): Promise<void> {
    const consumer = laneConsumer(priority, lane);
    let known = this.#knownLanes.get(consumer);
    if (!known) {
      known = this.#ensureLane(priority, lane);
      this.#knownLanes.set(consumer, known);
      known.catch(() => this.#knownLanes.delete(consumer));
    }
    return known;
  }

  async #ensureLane(priority: Priority, lane: string): Promise<void> {
    if (!(await this.lane(priority, lane)))
      await makeLane(await this.#manager(), priority, lane, this.#options);
  }

  /** Removes a lane; its tasks stay in the queue, and wait until it is there again. */
  async deleteLane(priority: Priority, lane: string): Promise<void> {
    const consumer = laneConsumer(priority, lane);
    this.#knownLanes.delete(consumer);
    await (await this.#manager()).consumers.delete(TASKS, consumer);
  }

  /** One lane; undefined where nobody has published to it yet. */
  lane(priority: Priority, lane: string): Promise<LaneInfo | undefined> {
    return findLane(this.#nc, priority, lane, this.timeoutMs);
  }

  async lanes(): Promise<LaneInfo[]> {
    try {
      return await listLanes(await this.#manager());
    } catch (error) {
      throw toOrchError(error, 'cannot list the lanes');
    }
  }

  /** Has deliveries of a lane that nobody acknowledges any more delivered again now, not when their leases run out. */
  async redeliver(consumer: string, queueSeqs: readonly number[]): Promise<void> {
    try {
      await redeliver(this.#nc, await this.#manager(), consumer, queueSeqs);
    } catch (error) {
      throw toOrchError(error, `cannot have the tasks of lane ${consumer} delivered again`);
    }
  }

  /** Calls back when a lane's consumer appears anywhere. */
  onLaneCreated(callback: () => void): () => void {
    return this.subscribe(`$JS.EVENT.ADVISORY.CONSUMER.CREATED.${TASKS}.*`, callback);
  }

  pull(consumer: string, handler: PullHandler): LanePull {
    return new LanePull(this.#nc, consumer, this.#options.inboxPrefix, handler);
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
  resumeDelivery(subject: string, ackSubject: string): Delivery {
    return new Delivery(this.#nc, { subject, reply: ackSubject, data: new Uint8Array() });
  }

  // -- large results; there are few of them, so what it takes is loaded for the first

  /** Stores bytes under a name and returns the reference to them. */
  async putObject(name: string, bytes: Uint8Array): Promise<ResultReference> {
    const { putObject } = await import('./objects.ts');
    const manager = await this.#manager();
    return putObject(manager.jetstream(), name, bytes, this.#options.replicas ?? 1);
  }

  async getObject(reference: ResultReference): Promise<Uint8Array | undefined> {
    const { getObject } = await import('./objects.ts');
    const manager = await this.#manager();
    return getObject(manager.jetstream(), reference);
  }

  // -- the server itself

  async server(): Promise<ServerFacts> {
    const info = this.#nc.info;
    if (!info) throw new OrchError('unavailable', 'not connected');
    try {
      const manager = await this.#manager();
      const [rttMs, account] = await Promise.all([this.#nc.rtt(), manager.getAccountInfo()]);
      return {
        name: info.server_name ?? info.server_id,
        version: info.version,
        url: this.#nc.getServer(),
        cluster: info.cluster,
        rttMs,
        storage: account.storage,
        storageMax: account.limits.max_storage,
        memory: account.memory,
        memoryMax: account.limits.max_memory,
      };
    } catch (error) {
      throw toOrchError(error, 'cannot ask the server about itself');
    }
  }

  async streams(): Promise<StreamReport[]> {
    return inspectStreams(await this.#manager());
  }

  /** The servers that this was connected to, without credentials. */
  get urls(): string[] {
    const { servers } = this.#options;
    return (servers?.length ? servers : [DEFAULT_SERVER]).map(withoutCredentials);
  }

  /** Whether a server is there at the moment. */
  get isConnected(): boolean {
    return this.#isConnected && !this.#nc.isClosed();
  }

  /** How often a lost server was found again, or another one. */
  get reconnects(): number {
    return this.#reconnects;
  }

  get isClosed(): boolean {
    return this.#nc.isClosed();
  }

  /** Sends what is buffered and closes; safe to call twice. */
  async close(): Promise<void> {
    if (this.#nc.isClosed()) return;
    await Promise.race([this.#nc.flush().catch(() => {}), sleep(CLOSE_FLUSH_MS, undefined, { ref: false })]);
    this.#writer.close();
    await this.#nc.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #manager(): Promise<JetStreamManager> {
    this.#opened ??= import('./manager.ts').then(({ openManager }) => openManager(this.#nc, this.timeoutMs));
    return this.#opened;
  }

  async #watchConnection(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type === 'disconnect') this.#isConnected = false;
      if (status.type !== 'reconnect') continue;
      this.#isConnected = true;
      this.#reconnects++;
      for (const callback of this.#onReconnect) callback();
    }
  }
}
