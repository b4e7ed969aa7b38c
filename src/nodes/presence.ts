// A node's presence: one key in `orch-nodes` that expires unless the node is heard of.
// Promises:
//  1. The key says what the node said last; a change is said at once, and otherwise every heartbeat.
//  2. Of two daemons with one id, the later one does not start, and says where the other runs. A daemon whose id was
//     taken while it was away hears of it, and must leave.
//  3. A node that was given up and comes back is the same incarnation, and says so. A daemon that follows a dead one
//     of the same id says first that that one was lost.
//  4. An orderly end removes the key at once.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BucketEntry, Bus } from '../bus/index.ts';
import {
  encode,
  NODES,
  type NodeEventType,
  NodeRecord,
  NodeReply,
  nodeRequestSubject,
  OrchError,
  tryDecode,
} from '../protocol/index.ts';
import { appendNodeEntry, lastNodeEntry, type NodeChange } from './journal.ts';

/** How long whoever has an id may take to say so. */
const HOLDER_ANSWER_MS = 1_000;
/** A daemon that has just taken its key does not answer yet. */
const HOLDER_START_MS = 1_000;
/** A change is said so soon; what comes within this time of it is said with it. */
const CHANGE_PAUSE_MS = 50;
/** How often a node that is busy says so, between its heartbeats. */
const BUSY_PAUSE_MS = 1_000;
const APPEND_TRIES_MAX = 5;

export interface PresenceOptions {
  /** The record as it is now. */
  record(): NodeRecord;
  /** The node was silent for so long that its key was gone: what it held may be somebody else's by now. */
  onReturned(): void;
  /** Another daemon has this node's id. */
  onTaken(by: NodeRecord): void;
  onError(error: unknown, doing: string): void;
}

export class Presence {
  readonly #bus: Bus;
  readonly #options: PresenceOptions;
  #revision = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #beating: Promise<void> | undefined;
  #isStale = false;
  #isOpen = false;
  #isAbandoned = false;
  #beatAt = 0;
  #healthySince: number | undefined;
  #beats = 0;

  constructor(bus: Bus, options: PresenceOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  /** Returns when the node is seen. Throws `conflict` when another live one has its id, `unavailable`. */
  async start(): Promise<void> {
    const before = await this.#takeKey();
    this.#isOpen = true;
    this.#healthySince = performance.now();
    await this.say('online', before ? { reason: `follows ${before}` } : {});
    this.#schedule();
  }

  /** Milliseconds since the last heartbeat that the server took. */
  get heartbeatAgeMs(): number {
    return performance.now() - this.#beatAt;
  }

  /** For how long every heartbeat has been taken: who could not write may not say of others that they did not. */
  get healthyForMs(): number {
    return this.#healthySince === undefined ? 0 : performance.now() - this.#healthySince;
  }

  /** Heartbeats that the server took. */
  get beats(): number {
    return this.#beats;
  }

  /** Something in the record has changed: says so soon, or within a second where it changes all the time. */
  touch(how: 'soon' | 'seldom' = 'soon'): void {
    const soon = performance.now() + CHANGE_PAUSE_MS;
    this.#beatBy(how === 'soon' ? soon : Math.max(soon, this.#beatAt + BUSY_PAUSE_MS));
  }

  /** Says that this node drains, pauses and so on: in its key at once, and in the journal. */
  async say(type: NodeEventType, more: Pick<NodeChange, 'returned' | 'reason'> = {}): Promise<void> {
    // The id is another daemon's: what is said of it is said by that one.
    if (this.#isAbandoned) return;
    if (type !== 'online' && type !== 'offline') await this.#beat();
    try {
      await this.#append({ type, node: this.#options.record(), ...more });
    } catch (error) {
      this.#options.onError(error, `cannot write that the node is ${type}`);
    }
  }

  /** Leaves: the key goes, and the journal says `offline`. Safe to call twice. */
  async stop(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    await this.#beating;
    // Nobody is there to hear it; the key expires, and somebody says that the node was lost.
    if (!this.#bus.server.isConnected) return;
    const key = this.#options.record().id;
    await this.#bucket()
      .delete(key, { revision: this.#revision })
      .catch(error => this.#options.onError(error, 'cannot remove the presence key'));
    await this.say('offline');
  }

  /** Stops being heard of, without a word: what a daemon whose id was taken does. */
  abandon(): void {
    this.#isOpen = false;
    this.#isAbandoned = true;
    clearTimeout(this.#timer);
  }

  #bucket() {
    return this.#bus.buckets.open(NODES);
  }

  // Returns the incarnation that had the id before, if it ended without a word.
  async #takeKey(): Promise<string | undefined> {
    for (;;) {
      const record = this.#options.record();
      const found = await this.#bucket().get(record.id);
      const other = readOther(found, record.incarnation);
      if (other && (await this.#isLive(found, other))) throw takenError(other);
      const put = await this.#put(record, found.revision);
      if (put) return other?.incarnation;
    }
  }

  // Whoever holds the key is asked; where nobody answers at all, once more, because it may have only just begun.
  async #isLive(found: BucketEntry, other: NodeRecord): Promise<boolean> {
    for (let tries = 0; tries < 2; tries++) {
      const subject = nodeRequestSubject(other.id, 'ping');
      const { kind } = await this.#bus.requests.ask(subject, undefined, HOLDER_ANSWER_MS);
      if (kind !== 'no-responder') return true;
      if (tries === 0) await sleep(HOLDER_START_MS);
    }
    // A key that is gone by now has expired, or its holder has left.
    const now = await this.#bucket().get(other.id);
    return now.value !== undefined && now.revision !== found.revision;
  }

  #schedule(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#beatBy(performance.now() + this.#options.record().heartbeatMs);
  }

  // Never later than it was due already: a node that is touched all the time must be heard of all the same.
  #beatBy(at: number): void {
    if (!this.#isOpen || at >= this.#dueAt) return;
    this.#dueAt = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), Math.max(0, at - performance.now()));
  }

  // One heartbeat at a time; what changes meanwhile is said right after.
  async #beat(): Promise<void> {
    if (this.#beating) {
      this.#isStale = true;
      return this.#beating;
    }
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#beating = this.#write()
      .catch((error: unknown) => {
        this.#healthySince = undefined;
        this.#options.onError(error, 'the heartbeat was not taken');
      })
      .finally(() => {
        this.#beating = undefined;
      });
    await this.#beating;
    if (this.#isStale && this.#isOpen) {
      this.#isStale = false;
      return this.#beat();
    }
    this.#schedule();
  }

  async #write(): Promise<void> {
    const record = this.#options.record();
    if (!this.#isOpen || (await this.#put(record, this.#revision))) return;
    // Our own write, sent twice; our key, expired, or gone with a server's memory; or somebody else's.
    const found = await this.#bucket().get(record.id);
    const other = readOther(found, record.incarnation);
    if (other) {
      this.abandon();
      this.#options.onTaken(other);
      return;
    }
    const wasGone = found.value === undefined;
    if (!(await this.#put(record, found.revision)))
      throw new OrchError('conflict', 'the key changes too fast');
    if (!wasGone) return;
    this.#options.onReturned();
    await this.#sayReturned();
  }

  async #sayReturned(): Promise<void> {
    this.#healthySince = performance.now();
    const last = await lastNodeEntry(this.#bus, this.#options.record().id);
    // A server that lost its memory has lost nobody.
    if (last?.type === 'lost') await this.say('online', { returned: true, reason: 'heard of again' });
  }

  async #put(record: NodeRecord, revision: number): Promise<boolean> {
    const { id, expiryMs, heartbeatMs } = record;
    const value = encode({ ...record, sentAt: new Date().toISOString() });
    // A heartbeat that is late is replaced by the next one.
    const timeoutMs = Math.max(1_000, Math.min(heartbeatMs, this.#bus.timeoutMs));
    const put = await this.#bucket().put(id, value, { revision, ttlMs: expiryMs, timeoutMs });
    if (put.kind === 'conflict') return false;
    this.#revision = put.revision;
    this.#beatAt = performance.now();
    this.#healthySince ??= this.#beatAt;
    this.#beats++;
    return true;
  }

  // What the node says of itself is true whatever others wrote just before.
  async #append(change: NodeChange): Promise<void> {
    const { id, incarnation } = change.node;
    for (let tries = 0; tries < APPEND_TRIES_MAX; tries++) {
      const last = await lastNodeEntry(this.#bus, id);
      const isOver = !last || last.type === 'offline' || last.type === 'lost';
      if (!isOver && last.node.incarnation !== incarnation) {
        const lost: NodeChange = { type: 'lost', node: last.node, reason: `${incarnation} has its id now` };
        await appendNodeEntry(this.#bus, lost, id, { fence: last.seq });
        continue;
      }
      const appended = await appendNodeEntry(this.#bus, change, id, { fence: last?.seq ?? 0 });
      if (appended.kind === 'written') return;
    }
    throw new OrchError('conflict', `the journal of node ${id} changes too fast`);
  }
}

// The record of a live key that is not ours. One that cannot be read is nobody's.
function readOther({ value }: BucketEntry, incarnation: string): NodeRecord | undefined {
  const parsed = NodeRecord.safeParse(value && tryDecode(value));
  return parsed.success && parsed.data.incarnation !== incarnation ? parsed.data : undefined;
}

const takenError = ({ id, host, pid }: NodeRecord) =>
  new OrchError('conflict', `node ${id} runs already on host ${host}, process ${pid}`, {
    advice: 'stop it, or give this one another name with --node',
  });

/** Reads what a node answers; undefined when it is not an answer of a node. */
export function readNodeReply(value: unknown): NodeReply | undefined {
  const parsed = NodeReply.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
