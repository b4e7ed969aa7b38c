// The daemon of a node: its presence, the agents that it owns, what it answers, the tasks that it runs, and the chores
// when it is its turn.
// Promises:
//  1. It starts in an order in which nothing is promised too early: it is there before it owns agents, and owns them
//     before it takes tasks. It stops in the opposite order.
//  2. What it is asked from afar (drain, pause, resume) is done when the answer goes out.
//  3. A node whose protocol the cluster does not speak is there, says so, and takes no tasks and does no chores.
//  4. A node whose id was taken while it was away drains and ends.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentKeeper, type AgentSpec } from '../agents/index.ts';
import type { Bus, Service } from '../bus/index.ts';
import type { Embedder } from '../memory/index.ts';
import { Presence } from '../nodes/index.ts';
import {
  areCompatible,
  EXPIRY_MS_DEFAULT,
  formatProtocol,
  HEARTBEAT_MS_DEFAULT,
  holdsSubject,
  messageOf,
  NODE_VERBS,
  NodeRecord,
  type NodeReply,
  type NodeState,
  type NodeVerb,
  nodeRequestSubject,
  OrchError,
  PROTOCOL,
  type ProtocolRange,
  parseAs,
  parseCapabilities,
  parseLastToken,
  pingAllSubject,
} from '../protocol/index.ts';
import { allChores, type Chore, Janitor } from './chores/index.ts';
import { MachineMeter } from './machine.ts';
import { Memories } from './memories/index.ts';
import { type Logger, silent } from './service/index.ts';
import { DRAIN_TIMEOUT_MS, Worker, type WorkerOptions } from './worker/index.ts';

/** Between two tries of a step of the start, while the server is away. */
const START_RETRY_MS = 1_000;

/** The name of the micro service that every node is. */
export const SERVICE_NAME = 'orch-node';

export interface DaemonOptions extends Omit<WorkerOptions, 'agents' | 'onChange'> {
  /** The agents that it is to own; default none. */
  ownedAgents?: readonly AgentSpec[];
  labels?: Record<string, string>;
  /** How often it is heard of, in milliseconds; default 5,000. */
  heartbeatMs?: number;
  /** How long it may be silent, in milliseconds; default 15,000. */
  expiryMs?: number;
  /** How long running tasks get when it is told to drain from afar; default 30,000. */
  drainTimeoutMs?: number;
  /** Where the memories of its agents are, and what finds by meaning in them; default: they have none. */
  memory?: { dir: string; embedder?: Embedder };
  /** Default: the protocols that this orch speaks. */
  protocol?: ProtocolRange;
  /** Default: all. */
  chores?: readonly Chore[];
  /** Default 20,000. */
  leaseTtlMs?: number;
}

export class Daemon {
  readonly worker: Worker;
  readonly #bus: Bus;
  readonly #options: DaemonOptions;
  readonly #logger: Logger;
  readonly #presence: Presence;
  readonly #agents: AgentKeeper;
  readonly #memories: Memories | undefined;
  readonly #janitor: Janitor;
  readonly #meter = new MachineMeter();
  readonly #incarnation = randomUUID();
  readonly #startedAt = new Date().toISOString();
  readonly #protocol: ProtocolRange;
  #state: NodeState = 'ready';
  #service: Service | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #settleTaken: (error: OrchError) => void = () => {};
  /** Settles when another daemon has this node's id. */
  readonly taken: Promise<OrchError>;

  constructor(bus: Bus, options: DaemonOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#logger = options.logger ?? silent;
    this.#protocol = options.protocol ?? PROTOCOL;
    parseAs(NodeRecord.shape.labels, options.labels ?? {}, 'labels');
    this.taken = new Promise(resolve => {
      this.#settleTaken = resolve;
    });
    const onError = (error: unknown, doing: string) => this.#logger.warn({ error: messageOf(error) }, doing);
    const agents = {
      assign: (task: string) => this.#agents.assign(task),
      report: (agent: string, status: Parameters<AgentKeeper['report']>[1]) =>
        this.#agents.report(agent, status),
    };
    this.worker = new Worker(bus, { ...options, agents, onChange: () => this.#presence.touch('seldom') });
    const expiryMs = options.expiryMs ?? EXPIRY_MS_DEFAULT;
    const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS_DEFAULT;
    this.#presence = new Presence(bus, {
      record: () => this.#record(heartbeatMs, expiryMs),
      onReturned: () => this.worker.checkFences(),
      onTaken: by => this.#beTaken(by),
      onError,
    });
    this.#agents = new AgentKeeper(bus, {
      wanted: options.ownedAgents ?? [],
      owner: { node: this.node, incarnation: this.#incarnation, host: hostname() },
      ttlMs: expiryMs,
      everyMs: heartbeatMs,
      onChange: how => {
        this.#presence.touch(how);
        void this.#memories?.follow();
      },
      onConflict: (agent, { node, host }) =>
        this.#logger.warn({ agent, owner: node, host }, 'agent is owned elsewhere; waiting'),
      onError,
    });
    const { memory, ownedAgents = [] } = options;
    if (memory && ownedAgents.length > 0) {
      this.#memories = new Memories(bus, {
        ...memory,
        node: this.node,
        version: __ORCH_VERSION__,
        protocol: this.#protocol,
        keeper: this.#agents,
        logger: this.#logger,
      });
    }
    this.#janitor = new Janitor(bus, {
      holder: { node: this.node, incarnation: this.#incarnation },
      chores: options.chores ?? allChores(),
      logger: this.#logger,
      healthyForMs: () => this.#presence.healthyForMs,
      ...(options.leaseTtlMs === undefined ? {} : { leaseTtlMs: options.leaseTtlMs }),
    });
  }

  get node(): string {
    return this.worker.node;
  }

  get state(): NodeState {
    return this.#state;
  }

  get presence(): Presence {
    return this.#presence;
  }

  get agents(): AgentKeeper {
    return this.#agents;
  }

  get janitor(): Janitor {
    return this.#janitor;
  }

  /**
   * Returns when the node is there and takes tasks; a server that is away meanwhile is waited for. Throws `conflict`
   * when another live node has its id, and what waiting would not mend.
   */
  async start(): Promise<void> {
    await this.#patiently(() => this.#bus.streams.provision());
    const cluster = await this.#patiently(() => this.#bus.streams.protocol());
    const isCompatible = areCompatible(this.#protocol, cluster);
    if (!isCompatible) this.#state = 'incompatible';
    await this.#patiently(() => this.#presence.start());
    this.#service = await this.#serve();
    if (!isCompatible) {
      const [ours, theirs] = [formatProtocol(this.#protocol), formatProtocol(cluster)];
      const why = `speaks protocol ${ours} and the cluster ${theirs}: takes no tasks`;
      this.#logger.error({ protocol: ours, cluster: theirs }, why);
      return;
    }
    if (this.#memories) this.#memories.serve(this.#service);
    await this.#agents.start();
    await this.#memories?.follow();
    await this.#patiently(() => this.worker.start());
    this.#janitor.start();
  }

  /** Takes no more tasks, lets those that run finish for a while, then gives them back. The node stays. */
  async drain(timeoutMs = this.#options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS): Promise<void> {
    const isNews = this.#turn('draining');
    this.worker.pause();
    // Asked again, it has the new time.
    clearTimeout(this.#drainTimer);
    this.#drainTimer = setTimeout(() => this.worker.giveBackAll(), timeoutMs);
    if (isNews) await this.#presence.say('draining');
  }

  /** Takes no more tasks; those that run go on. */
  async pause(): Promise<void> {
    if (!this.#turn('paused')) return;
    clearTimeout(this.#drainTimer);
    this.worker.pause();
    await this.#presence.say('paused');
  }

  /** Takes tasks again. */
  async resume(): Promise<void> {
    if (!this.#turn('ready')) return;
    clearTimeout(this.#drainTimer);
    this.worker.resume();
    await this.#presence.say('resumed');
  }

  /** Drains and leaves; returns when all is said and given back. A second call with 0 hurries the first. */
  stop(drainTimeoutMs = this.#options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS): Promise<void> {
    if (this.#stopping && drainTimeoutMs === 0) void this.worker.stop(0);
    this.#stopping ??= this.#leave(drainTimeoutMs);
    return this.#stopping;
  }

  async #leave(drainTimeoutMs: number): Promise<void> {
    clearTimeout(this.#drainTimer);
    const isNews = this.#state !== 'draining' && this.#state !== 'incompatible';
    this.#state = 'draining';
    const said = isNews && this.worker.running > 0 ? this.#presence.say('draining') : undefined;
    const choresEnded = this.#janitor.stop();
    await Promise.all([said, this.worker.stop(drainTimeoutMs)]);
    // Without a server a chore only waits for its answers to be late.
    if (this.#bus.server.isConnected) await choresEnded;
    // Before the agents are somebody else's.
    await this.#memories?.close();
    await this.#agents.stop();
    await this.#presence.stop();
    await this.#service?.stop();
  }

  // Each step can be taken again where it failed half-way.
  async #patiently<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        const isAway = error instanceof OrchError && error.code === 'unavailable';
        if (!isAway || this.#stopping !== undefined || this.#bus.isClosed) throw error;
        this.#logger.warn({ error: error.message }, 'cannot start yet; trying on');
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

  #beTaken(by: NodeRecord): void {
    const where = `host ${by.host}, process ${by.pid}`;
    this.#logger.error({ host: by.host, pid: by.pid }, 'another daemon has this id; leaving');
    this.#settleTaken(
      new OrchError('conflict', `node ${this.node} runs on ${where} now`, {
        advice: 'give one of them another name with --node',
      }),
    );
  }

  async #serve(): Promise<Service> {
    const { node } = this;
    const service = await this.#bus.requests.service({
      name: SERVICE_NAME,
      version: __ORCH_VERSION__,
      description: 'a node of orch: runs tasks, owns agents',
      metadata: { node, incarnation: this.#incarnation, host: hostname() },
      protocol: this.#protocol,
    });
    const verbs: Record<NodeVerb, (body: unknown) => Promise<void> | void> = {
      ping: () => {},
      drain: body => this.drain(drainTimeoutOf(body)),
      pause: () => this.pause(),
      resume: () => this.resume(),
    };
    for (const verb of NODE_VERBS) {
      service.serve(verb, nodeRequestSubject(node, verb), async ({ body }) => {
        await verbs[verb](body);
        return this.#reply();
      });
    }
    service.serve('holds', holdsSubject(node, '*'), ({ subject }) => ({
      holds: this.worker.holds(parseLastToken(subject)),
    }));
    service.serve('ping-all', pingAllSubject, () => this.#reply());
    return service;
  }

  #reply(): NodeReply {
    return {
      node: this.node,
      incarnation: this.#incarnation,
      at: new Date().toISOString(),
      state: this.#state,
      running: this.worker.running,
      protocol: { ...this.#protocol },
      host: hostname(),
      pid: process.pid,
    };
  }

  #record(heartbeatMs: number, expiryMs: number): NodeRecord {
    const { capabilities = [], concurrency = 1, labels = {} } = this.#options;
    return {
      id: this.node,
      incarnation: this.#incarnation,
      version: __ORCH_VERSION__,
      protocol: { ...this.#protocol },
      host: hostname(),
      os: process.platform,
      arch: process.arch,
      pid: process.pid,
      startedAt: this.#startedAt,
      heartbeatMs,
      expiryMs,
      capabilities: parseCapabilities(capabilities),
      labels,
      capacity: { maxWorkers: concurrency, currentWorkers: Math.min(concurrency, this.worker.running) },
      agents: this.#agents.agents,
      waitingAgents: this.#agents.missing,
      features: this.#memories ? ['memory'] : [],
      metrics: this.#meter.read(),
      state: this.#state,
    };
  }
}

function drainTimeoutOf(body: unknown): number | undefined {
  const { timeoutMs } = (body ?? {}) as { timeoutMs?: unknown };
  if (timeoutMs === undefined) return undefined;
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= 86_400_000) return timeoutMs;
  throw new OrchError('usage', `timeoutMs ${JSON.stringify(timeoutMs)} is not allowed: 0 to 86400000`);
}
