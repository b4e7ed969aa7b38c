// The daemon: the process of a node, from its first heartbeat to its last. What runs by itself is in the services.
// Promises:
//  1. It starts in an order in which nothing is promised too early: it is present before it owns agents, and owns them
//     before it takes tasks. It stops in the opposite order.
//  2. A request to drain, pause or resume is carried out before its reply is sent.
//  3. A node whose protocol the cluster does not speak is present, shows so, takes no tasks and does no chores.
//  4. A node whose id was taken while it was away drains and ends.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentKeeper } from '../agents/index.ts';
import type { Bus, Service } from '../bus/index.ts';
import { Presence } from '../nodes/index.ts';
import {
  areCompatible,
  EXPIRY_MS_DEFAULT,
  formatProtocol,
  HEARTBEAT_MS_DEFAULT,
  messageOf,
  NodeRecord,
  type NodeState,
  OrchError,
  PROTOCOL,
  type ProtocolRange,
  parseAs,
} from '../protocol/index.ts';
import type { Janitor } from './chores/index.ts';
import { MachineMeter } from './machine.ts';
import { serveRequests } from './requests.ts';
import { type Logger, type NodeService, silent } from './service/index.ts';
import { makeServices, type ServicesOptions } from './services.ts';
import type { Worker } from './worker/index.ts';

/** Between two tries of a step of the start, while the server is away. */
const START_RETRY_MS = 1_000;
/** How long running tasks get when a node drains, in milliseconds. */
export const DRAIN_TIMEOUT_MS = 30_000;

export interface DaemonOptions extends ServicesOptions {
  labels?: Record<string, string>;
  /** How often it writes its key, in milliseconds; default 5,000. */
  heartbeatMs?: number;
  /** How long it may be silent, in milliseconds; default 15,000. */
  expiryMs?: number;
  /** How long running tasks get when it is drained by a request, in milliseconds; default 30,000. */
  drainTimeoutMs?: number;
  /** Default: the protocols that this orch speaks. */
  protocol?: ProtocolRange;
}

export class Daemon {
  readonly worker: Worker;
  readonly agents: AgentKeeper;
  readonly janitor: Janitor;
  readonly presence: Presence;
  readonly incarnation = randomUUID();
  readonly protocol: ProtocolRange;
  /** Settles when another daemon has this node's id. */
  readonly taken: Promise<OrchError>;
  readonly #bus: Bus;
  readonly #logger: Logger;
  readonly #drainTimeoutMs: number;
  readonly #services: readonly NodeService[];
  #state: NodeState = 'ready';
  #microService: Service | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #settleTaken: (error: OrchError) => void = () => {};

  constructor(bus: Bus, options: DaemonOptions) {
    const { heartbeatMs = HEARTBEAT_MS_DEFAULT, expiryMs = EXPIRY_MS_DEFAULT } = options;
    this.#bus = bus;
    this.#logger = options.logger ?? silent;
    this.#drainTimeoutMs = options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS;
    this.protocol = options.protocol ?? PROTOCOL;
    this.taken = new Promise(resolve => {
      this.#settleTaken = resolve;
    });
    const services = makeServices(bus, options, {
      incarnation: this.incarnation,
      protocol: this.protocol,
      heartbeatMs,
      expiryMs,
      logger: this.#logger,
      onChange: how => this.presence.touch(how),
      healthyForMs: () => this.presence.healthyForMs,
    });
    this.worker = services.worker;
    this.agents = services.agents;
    this.janitor = services.janitor;
    this.#services = services.inOrder;
    this.presence = new Presence(bus, {
      record: this.#recorder(options, heartbeatMs, expiryMs),
      onReturned: () => this.#each(service => service.returned?.()),
      onTaken: by => this.#beTaken(by),
      onError: (error, doing) => this.#logger.warn({ error: messageOf(error) }, doing),
    });
  }

  get node(): string {
    return this.worker.node;
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Attempts that are not over. */
  get running(): number {
    return this.worker.running;
  }

  /**
   * Returns when the node is present and takes tasks; a server that is away meanwhile is waited for. Throws `conflict`
   * when another live node has its id, and what waiting would not mend.
   */
  async start(): Promise<void> {
    await this.#patiently(() => this.#bus.streams.provision());
    const cluster = await this.#patiently(() => this.#bus.streams.protocol());
    const isCompatible = areCompatible(this.protocol, cluster);
    if (!isCompatible) this.#state = 'incompatible';
    await this.#patiently(() => this.presence.start());
    const microService = await serveRequests(this.#bus, this);
    this.#microService = microService;
    // Promise 3
    if (!isCompatible) return this.#reportIncompatible(cluster);
    this.#each(service => service.serve?.(microService));
    for (const service of this.#services) await this.#patiently(async () => service.start());
  }

  /** Takes no more tasks, lets those that run finish for a while, then gives them back. The node stays. */
  async drain(timeoutMs = this.#drainTimeoutMs): Promise<void> {
    const isNew = this.#turn('draining');
    this.#each(service => service.pause?.());
    // A second request sets a new time.
    this.#giveBackIn(timeoutMs);
    if (isNew) await this.presence.say('draining');
  }

  /** Takes no more tasks; those that run go on. */
  async pause(): Promise<void> {
    if (!this.#turn('paused')) return;
    clearTimeout(this.#drainTimer);
    this.#each(service => service.pause?.());
    await this.presence.say('paused');
  }

  /** Takes tasks again. */
  async resume(): Promise<void> {
    if (!this.#turn('ready')) return;
    clearTimeout(this.#drainTimer);
    this.#each(service => service.resume?.());
    await this.presence.say('resumed');
  }

  /** Drains and leaves; returns when all is written and given back. A second call with 0 stops at once. */
  stop(drainTimeoutMs = this.#drainTimeoutMs): Promise<void> {
    if (this.#stopping && drainTimeoutMs === 0) this.#each(service => service.stopNow?.());
    this.#stopping ??= this.#leave(drainTimeoutMs);
    return this.#stopping;
  }

  async #leave(drainTimeoutMs: number): Promise<void> {
    const isNew = this.#state !== 'draining' && this.#state !== 'incompatible';
    this.#state = 'draining';
    this.#logger.info({ running: this.running, drainTimeoutMs }, 'draining');
    const announced = isNew && this.running > 0 ? this.presence.say('draining') : undefined;
    this.#giveBackIn(drainTimeoutMs);
    await Promise.all(this.#services.map(service => service.finish?.()));
    // Without a server it would only wait to be late.
    if (this.#bus.server.isConnected) await announced;
    clearTimeout(this.#drainTimer);
    // Promise 1
    for (const service of this.#services.toReversed()) await service.stop();
    await this.presence.stop();
    await this.#microService?.stop();
    this.#logger.info({}, 'stopped');
  }

  #giveBackIn(timeoutMs: number): void {
    clearTimeout(this.#drainTimer);
    const giveBack = () => this.#each(service => service.giveBack?.());
    if (timeoutMs === 0) giveBack();
    else this.#drainTimer = setTimeout(giveBack, timeoutMs);
  }

  #each(act: (service: NodeService) => void): void {
    for (const service of this.#services) act(service);
  }

  // Each step can be taken again where it failed half-way.
  async #patiently<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        const isAway = error instanceof OrchError && error.code === 'unavailable';
        if (!isAway || this.#stopping !== undefined || this.#bus.isClosed) throw error;
        this.#logger.warn({ error: error.message }, 'cannot start yet; retrying');
        await sleep(START_RETRY_MS);
      }
    }
  }

  // False where there is nothing to change. Throws `conflict` where it may not change.
  #turn(state: NodeState): boolean {
    if (this.#state === 'incompatible' || this.#stopping !== undefined) {
      const why = this.#stopping ? 'is being stopped' : 'speaks no protocol of the cluster';
      throw new OrchError('conflict', `node ${this.node} ${why}`);
    }
    if (this.#state === state) return false;
    this.#state = state;
    return true;
  }

  #reportIncompatible(cluster: ProtocolRange): void {
    const [ours, theirs] = [formatProtocol(this.protocol), formatProtocol(cluster)];
    const message = `speaks protocol ${ours} and the cluster ${theirs}: takes no tasks`;
    this.#logger.error({ protocol: ours, cluster: theirs }, message);
  }

  // Promise 4
  #beTaken(by: NodeRecord): void {
    const where = `host ${by.host}, process ${by.pid}`;
    this.#logger.error({ host: by.host, pid: by.pid }, 'another daemon has this id; leaving');
    this.#settleTaken(
      new OrchError('conflict', `node ${this.node} runs on ${where} now`, {
        advice: 'give one of them another name with --node',
      }),
    );
  }

  // What the node is, with what each service adds.
  #recorder(options: DaemonOptions, heartbeatMs: number, expiryMs: number): () => NodeRecord {
    const fixed = {
      id: this.node,
      incarnation: this.incarnation,
      version: __ORCH_VERSION__,
      protocol: { ...this.protocol },
      host: hostname(),
      os: process.platform,
      arch: process.arch,
      pid: process.pid,
      startedAt: new Date().toISOString(),
      heartbeatMs,
      expiryMs,
      labels: parseAs(NodeRecord.shape.labels, options.labels ?? {}, 'labels'),
    };
    const meter = new MachineMeter();
    return () => {
      const parts = this.#services.map(service => service.presence?.() ?? {});
      const features = parts.flatMap(part => part.features ?? []);
      const problems = parts.flatMap(part => part.problems ?? []);
      const record = { ...fixed, capabilities: [], agents: [], waitingAgents: [], capacity: NO_CAPACITY };
      return Object.assign(record, ...parts, {
        features,
        problems,
        metrics: meter.read(),
        state: this.#state,
      });
    };
  }
}

const NO_CAPACITY = { maxWorkers: 0, currentWorkers: 0 };
