// The agents that a node owns: for each a key in `orch-agents`, taken by whoever comes first, renewed, and expiring.
// Promises:
//  1. An agent is owned by one node at a time: a key is taken and renewed by compare-and-set, and an owner that could
//     not renew it stops being one before the key expires, by its own monotonic clock.
//  2. A node that finds another owner goes on with its other agents, says so once, and takes over when the key is free.
//  3. An orderly end frees the keys at once.
import type { Bucket, Bus } from '../bus/index.ts';
import { marginOf } from '../leases/index.ts';
import { AGENTS, type AgentRecord, type AgentStatus, encode, type NodeAgent } from '../protocol/index.ts';
import { appendAgentEntry } from './journal.ts';
import { readAgentRecord } from './record.ts';
import type { AgentSpec } from './spec.ts';

export interface AgentKeeperOptions {
  wanted: readonly AgentSpec[];
  /** Who owns them. */
  owner: { node: string; incarnation: string; host: string };
  /** How long a key lives without a renewal. */
  ttlMs: number;
  /** How often they are renewed and missing ones are tried for. */
  everyMs: number;
  /** An agent came or went (`soon`), or changed its state (`seldom`). */
  onChange(how: 'soon' | 'seldom'): void;
  onConflict(agent: string, owner: AgentRecord): void;
  onError(error: unknown, doing: string): void;
}

/** What an agent does at the moment. */
interface Work {
  status: AgentStatus;
  task?: string;
}

export class AgentKeeper {
  readonly #bus: Bus;
  readonly #bucket: Bucket;
  readonly #options: AgentKeeperOptions;
  readonly #owned = new Map<string, { revision: number; renewedAt: number; since: string }>();
  readonly #work = new Map<string, Work>();
  /** For each agent the owner that was told of already. */
  readonly #told = new Map<string, string>();
  #toldOwned = '';
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isOpen = false;

  constructor(bus: Bus, options: AgentKeeperOptions) {
    this.#bus = bus;
    this.#bucket = bus.buckets.open(AGENTS);
    this.#options = options;
  }

  /** The agents that are owned now, as the node's record shows them. */
  get agents(): NodeAgent[] {
    return this.#options.wanted
      .filter(({ id }) => this.owns(id))
      .map(spec => ({ ...spec, ...(this.#work.get(spec.id) ?? { status: 'idle' as const }) }));
  }

  /** The agents that are to be owned and are not. */
  get missing(): string[] {
    return this.#options.wanted.map(({ id }) => id).filter(id => !this.owns(id));
  }

  /** Whether this node may act as an agent, as sure as a clock can be. */
  owns(agent: string): boolean {
    const owned = this.#owned.get(agent);
    const { ttlMs } = this.#options;
    return owned !== undefined && performance.now() < owned.renewedAt + ttlMs - marginOf(ttlMs);
  }

  /** What the node's record shows. */
  presence(): { agents: NodeAgent[]; waitingAgents: string[] } {
    return { agents: this.agents, waitingAgents: this.missing };
  }

  /** Returns when each agent was tried for once. */
  async start(): Promise<void> {
    this.#isOpen = true;
    await this.#tryAll();
  }

  /** Frees all agents. */
  async stop(): Promise<void> {
    this.#isOpen = false;
    clearTimeout(this.#timer);
    await this.#round;
    // Without a server the keys expire.
    if (!this.#bus.server.isConnected) return;
    await Promise.all([...this.#owned.keys()].map(agent => this.#release(agent)));
  }

  /** Puts an agent that is free on a task; undefined when none is. */
  assign(task: string): string | undefined {
    const free = this.agents.find(({ status }) => status !== 'working' && status !== 'blocked');
    if (free) this.#set(free.id, { status: 'working', task });
    return free?.id;
  }

  /** Says how an agent's task goes, or how it ended. */
  report(agent: string, status: AgentStatus): void {
    const work = this.#work.get(agent);
    this.#set(agent, { ...work, status });
  }

  #set(agent: string, work: Work): void {
    this.#work.set(agent, work);
    this.#options.onChange('seldom');
  }

  async #tryAll(): Promise<void> {
    this.#round = Promise.all(this.#options.wanted.map(spec => this.#tryOne(spec))).then(() => {});
    await this.#round;
    // Against what was told, not against the beginning of this round: an agent may have been lost to a clock before it.
    const now = this.agents.map(({ id }) => id).join();
    if (now !== this.#toldOwned) this.#options.onChange('soon');
    this.#toldOwned = now;
    if (this.#isOpen) this.#timer = setTimeout(() => void this.#tryAll(), this.#options.everyMs);
  }

  async #tryOne(spec: AgentSpec): Promise<void> {
    try {
      if (!(await this.#renew(spec))) await this.#take(spec);
    } catch (error) {
      this.#options.onError(error, `cannot claim agent ${spec.id}`);
    }
  }

  async #renew(spec: AgentSpec): Promise<boolean> {
    const owned = this.#owned.get(spec.id);
    return owned !== undefined && this.#put(spec, owned.revision, owned.since);
  }

  async #take(spec: AgentSpec): Promise<void> {
    const found = await this.#bucket.get(spec.id);
    const other = readAgentRecord(found.value);
    const { node, incarnation } = this.#options.owner;
    // An earlier incarnation of this node is gone, or it could not have begun; our own is a write that was heard late.
    if (other && other.node !== node) return this.#tellConflict(spec.id, other);
    const since = other?.incarnation === incarnation ? other.since : new Date().toISOString();
    const isNew = !this.#owned.has(spec.id) || other === undefined;
    if (!(await this.#put(spec, found.revision, since)) || !isNew) return;
    this.#told.delete(spec.id);
    await this.#say('owned', spec, since);
  }

  async #tellConflict(agent: string, other: AgentRecord): Promise<void> {
    this.#owned.delete(agent);
    if (this.#told.get(agent) === other.incarnation) return;
    await appendAgentEntry(this.#bus, 'conflict', other, this.#options.owner.node);
    this.#told.set(agent, other.incarnation);
    this.#options.onConflict(agent, other);
  }

  async #put(spec: AgentSpec, revision: number, since: string): Promise<boolean> {
    const sentAt = performance.now();
    const { ttlMs } = this.#options;
    const put = await this.#bucket.put(spec.id, encode(this.#record(spec, since)), { revision, ttlMs });
    if (put.kind === 'conflict') return false;
    this.#owned.set(spec.id, { revision: put.revision, renewedAt: sentAt, since });
    return true;
  }

  async #release(agent: string): Promise<void> {
    const owned = this.#owned.get(agent);
    const spec = this.#options.wanted.find(({ id }) => id === agent);
    if (!owned || !spec) return;
    this.#owned.delete(agent);
    try {
      const { kind } = await this.#bucket.delete(agent, { revision: owned.revision });
      if (kind === 'stored') await this.#say('released', spec, owned.since);
    } catch (error) {
      this.#options.onError(error, `cannot release agent ${agent}`);
    }
  }

  async #say(type: 'owned' | 'released', spec: AgentSpec, since: string): Promise<void> {
    await appendAgentEntry(this.#bus, type, this.#record(spec, since), this.#options.owner.node);
  }

  // What it does is in the node's record; here is only whose it is.
  #record(spec: AgentSpec, since: string): AgentRecord {
    return { ...spec, ...this.#options.owner, status: 'idle', since, ttlMs: this.#options.ttlMs };
  }
}
