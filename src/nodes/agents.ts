// The agents that a node owns: for each a key in `orch-agents`, taken by whoever comes first, renewed, and expiring.
// Promises:
//  1. An agent is owned by one node at a time: a key is taken and renewed by compare-and-set, and an owner that could
//     not renew it stops being one before the key expires, by its own monotonic clock.
//  2. A node that finds another owner goes on with its other agents, says so once, and takes over when the key is free.
//  3. An orderly end frees the keys at once.
import type { Bucket, Bus } from '../bus/index.ts';
import {
  AGENT_TTL_MS_DEFAULT,
  AGENTS,
  AgentRecord,
  type AgentStatus,
  encode,
  type NodeAgent,
  OrchError,
  tryDecode,
} from '../protocol/index.ts';
import type { AgentSpec } from './agent-spec.ts';
import { appendAgentEntry } from './journal.ts';
import { marginOf } from './lease.ts';

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
    this.#bucket = bus.bucket(AGENTS);
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
    if (!this.#bus.isConnected) return;
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

/** Reads the value of a key in `orch-agents`; undefined when there is none, or it is not an agent. */
export function readAgentRecord(value: Uint8Array | undefined): AgentRecord | undefined {
  return AgentRecord.safeParse(value && tryDecode(value)).data;
}

export interface Registration extends Partial<AgentSpec> {
  id: string;
  /** Who keeps it alive, as a word that stays the same from call to call. */
  owner: string;
  host: string;
  status?: AgentStatus;
  task?: string;
  description?: string;
  /** Default 90 s. */
  ttlMs?: number;
}

/** Registers an agent that has no daemon, or keeps it alive. Throws `conflict` when somebody else has it. */
export async function registerAgent(bus: Bus, registration: Registration): Promise<AgentRecord> {
  const { owner, ttlMs = AGENT_TTL_MS_DEFAULT, ...given } = registration;
  const bucket = bus.bucket(AGENTS);
  const found = await bucket.get(given.id);
  const known = readAgentRecord(found.value);
  const incarnation = keeperOf(owner, given.host);
  if (known && known.incarnation !== incarnation) throw ownedElsewhere(known);
  const since = known?.since ?? new Date().toISOString();
  const record = AgentRecord.parse({ ...known, ...given, incarnation, since, ttlMs });
  // An idle agent is on nothing, and one that is of no group any more is in none.
  if (given.status === 'idle' && given.task === undefined) delete record.task;
  if (record.visibility !== 'group') delete record.group;
  const put = await bucket.put(given.id, encode(record), { revision: found.revision, ttlMs });
  if (put.kind === 'conflict')
    throw new OrchError('conflict', `agent ${given.id} was taken by somebody else just now`);
  if (!known) await appendAgentEntry(bus, 'owned', record, owner);
  return record;
}

/** Ends a registration. Throws `not_found`, or `conflict` when it is somebody else's. */
export async function unregisterAgent(
  bus: Bus,
  { agent, owner, host }: { agent: string; owner: string; host: string },
): Promise<AgentRecord> {
  const bucket = bus.bucket(AGENTS);
  const found = await bucket.get(agent);
  const known = readAgentRecord(found.value);
  if (!known) throw new OrchError('not_found', `no agent ${agent}`);
  if (known.incarnation !== keeperOf(owner, host)) throw ownedElsewhere(known);
  const deleted = await bucket.delete(agent, { revision: found.revision });
  if (deleted.kind === 'conflict')
    throw new OrchError('conflict', `agent ${agent} was changed just now`, { advice: 'try again' });
  await appendAgentEntry(bus, 'released', known, owner);
  return known;
}

// The same user name on two machines is two keepers.
const keeperOf = (owner: string, host: string): string => `${owner}@${host}`;

const ownedElsewhere = ({ id, node, incarnation, host }: AgentRecord) =>
  new OrchError('conflict', `agent ${id} belongs to ${node ?? incarnation} on host ${host}`, {
    advice: '`orch agents` shows who owns what',
  });
