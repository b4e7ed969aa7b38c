// The agents that a node owns: for each a held key in `orch-agents`, which goes to the first node that takes it.
// Promises:
//  1. An agent is owned by one node at a time; see `leases/held-key.ts`.
//  2. A node that finds another owner continues with its other agents, reports the conflict once, and takes over when
//     the key is free.
//  3. An orderly end frees the keys at once.
import type { Bucket, Bus } from '../bus/index.ts';
import { HeldKey } from '../leases/index.ts';
import { AGENTS, type AgentRecord, type AgentStatus, encode, type NodeAgent } from '../protocol/index.ts';
import { appendAgentEntry } from './journal.ts';
import { readAgentRecord } from './record.ts';
import type { AgentSpec } from './spec.ts';

export interface AgentKeeperOptions {
  wanted: readonly AgentSpec[];
  /** The node that is to own them. */
  owner: { node: string; incarnation: string; host: string };
  /** How long a key lives without a renewal. */
  ttlMs: number;
  /** How often owned agents are renewed and missing ones are tried for. */
  everyMs: number;
  /** An agent was taken or lost (`soon`), or changed its state (`seldom`). */
  onChange(how: 'soon' | 'seldom'): void;
  onConflict(agent: string, owner: AgentRecord): void;
  onError(error: unknown, doing: string): void;
}

/** The state of an agent at the moment. */
interface Work {
  status: AgentStatus;
  task?: string;
}

export class AgentKeeper {
  readonly #bus: Bus;
  readonly #bucket: Bucket;
  readonly #options: AgentKeeperOptions;
  readonly #owned = new Map<string, { key: HeldKey; since: string }>();
  readonly #work = new Map<string, Work>();
  /** For each agent the incarnation of the other owner that was reported. */
  readonly #reported = new Map<string, string>();
  #reportedOwned = '';
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void> | undefined;
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

  /** The wanted agents that this node does not own. */
  get missing(): string[] {
    return this.#options.wanted.map(({ id }) => id).filter(id => !this.owns(id));
  }

  /** Whether this node may act as an agent. */
  owns(agent: string): boolean {
    return (this.#owned.get(agent)?.key.remainingMs ?? 0) > 0;
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
    await this.#trying;
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

  /** Sets how an agent's task goes, or how it ended. */
  report(agent: string, status: AgentStatus): void {
    const work = this.#work.get(agent);
    this.#set(agent, { ...work, status });
  }

  #set(agent: string, work: Work): void {
    this.#work.set(agent, work);
    this.#options.onChange('seldom');
  }

  async #tryAll(): Promise<void> {
    this.#trying = Promise.all(this.#options.wanted.map(spec => this.#tryOne(spec))).then(() => {});
    await this.#trying;
    // Compared with the last report and not with the start of this try: an agent may have been lost to the clock before.
    const now = this.agents.map(({ id }) => id).join();
    if (now !== this.#reportedOwned) this.#options.onChange('soon');
    this.#reportedOwned = now;
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
    return owned ? owned.key.renew(this.#value(spec, owned.since)) : false;
  }

  async #take(spec: AgentSpec): Promise<void> {
    const key = this.#owned.get(spec.id)?.key ?? new HeldKey(this.#bucket, spec.id, this.#options.ttlMs);
    const found = await key.read();
    const other = readAgentRecord(found.value);
    const { node, incarnation } = this.#options.owner;
    // An earlier incarnation of this node is dead, or this one could not have started; the own incarnation's is a write
    // whose acknowledgement was lost.
    if (other && other.node !== node) return this.#reportConflict(spec.id, other);
    const since = other?.incarnation === incarnation ? other.since : new Date().toISOString();
    const isNew = !this.#owned.has(spec.id) || other === undefined;
    if (!(await key.take(found, this.#value(spec, since)))) return;
    this.#owned.set(spec.id, { key, since });
    if (!isNew) return;
    this.#reported.delete(spec.id);
    await this.#write('owned', spec, since);
  }

  async #reportConflict(agent: string, other: AgentRecord): Promise<void> {
    this.#owned.delete(agent);
    // Promise 2.
    if (this.#reported.get(agent) === other.incarnation) return;
    await appendAgentEntry(this.#bus, 'conflict', other, this.#options.owner.node);
    this.#reported.set(agent, other.incarnation);
    this.#options.onConflict(agent, other);
  }

  async #release(agent: string): Promise<void> {
    const owned = this.#owned.get(agent);
    const spec = this.#options.wanted.find(({ id }) => id === agent);
    if (!owned || !spec) return;
    this.#owned.delete(agent);
    try {
      if (await owned.key.giveBack()) await this.#write('released', spec, owned.since);
    } catch (error) {
      this.#options.onError(error, `cannot release agent ${agent}`);
    }
  }

  async #write(type: 'owned' | 'released', spec: AgentSpec, since: string): Promise<void> {
    await appendAgentEntry(this.#bus, type, this.#record(spec, since), this.#options.owner.node);
  }

  #value(spec: AgentSpec, since: string): Uint8Array {
    return encode(this.#record(spec, since));
  }

  // The key holds only who owns the agent; what it does is in the node's record.
  #record(spec: AgentSpec, since: string): AgentRecord {
    return { ...spec, ...this.#options.owner, status: 'idle', since, ttlMs: this.#options.ttlMs };
  }
}
