// A node's presence: one held key in `orch-nodes` that carries the node's record and expires without a heartbeat.
// Promises:
//  1. A change of the record is written at once, and the record anew at every heartbeat.
//  2. Of two daemons with one id, the later one does not start, and its error names where the other runs. A daemon whose
//     id was taken while it was away is notified, and must leave.
//  3. A node that was recorded as lost and comes back is the same incarnation, and its entry is marked `returned`. A
//     daemon that follows a dead one of the same id first records that one as lost.
//  4. An orderly end removes the key at once.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BucketEntry, Bus } from '../bus/index.ts';
import { HeldKey } from '../leases/index.ts';
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

/** How long the daemon that has an id may take to answer. */
const HOLDER_ANSWER_MS = 1_000;
/** A daemon that has just taken its key does not answer yet. */
const HOLDER_START_MS = 1_000;
/** The delay of a change's write; changes within it are written together. */
const CHANGE_PAUSE_MS = 50;
/** The shortest time between two writes of a record that changes all the time. */
const BUSY_PAUSE_MS = 1_000;
const APPEND_TRIES_MAX = 5;

export interface PresenceOptions {
  /** The record as it is now. */
  record(): NodeRecord;
  /** The key had expired and was taken again: what the node held may belong to another by now. */
  onReturned(): void;
  /** Another daemon has this node's id. */
  onTaken(by: NodeRecord): void;
  onError(error: unknown, doing: string): void;
}

export class Presence {
  readonly #bus: Bus;
  readonly #options: PresenceOptions;
  #key: HeldKey | undefined;
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

  /** Returns when the node is present. Throws `conflict` when another live one has its id, `unavailable`. */
  async start(): Promise<void> {
    const { id, expiryMs } = this.#options.record();
    this.#key = new HeldKey(this.#bus.buckets.open(NODES), id, expiryMs);
    const before = await this.#takeKey(this.#key);
    this.#isOpen = true;
    this.#healthySince = performance.now();
    await this.say('online', before ? { reason: `follows ${before}` } : {});
    this.#schedule();
  }

  /** Milliseconds since the last acknowledged heartbeat. */
  get heartbeatAgeMs(): number {
    return performance.now() - this.#beatAt;
  }

  /** For how long every heartbeat was acknowledged. A node that could not write must not judge others by their silence. */
  get healthyForMs(): number {
    return this.#healthySince === undefined ? 0 : performance.now() - this.#healthySince;
  }

  /** Acknowledged heartbeats. */
  get beats(): number {
    return this.#beats;
  }

  /** Writes a changed record soon, or within a second where it changes all the time. */
  touch(how: 'soon' | 'seldom' = 'soon'): void {
    const soon = performance.now() + CHANGE_PAUSE_MS;
    this.#beatBy(how === 'soon' ? soon : Math.max(soon, this.#beatAt + BUSY_PAUSE_MS));
  }

  /** Writes that this node drains, pauses and so on: into its key at once, and into the journal. */
  async say(type: NodeEventType, more: Pick<NodeChange, 'returned' | 'reason'> = {}): Promise<void> {
    // The id belongs to another daemon now, and so does its journal.
    if (this.#isAbandoned) return;
    if (type !== 'online' && type !== 'offline') await this.#beat();
    try {
      await this.#append({ type, node: this.#options.record(), ...more });
    } catch (error) {
      this.#options.onError(error, `cannot write that the node is ${type}`);
    }
  }

  /** Leaves: removes the key and writes `offline`. Safe to call twice. */
  async stop(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    // Without a server the key expires, and the node is recorded as lost.
    if (!this.#bus.server.isConnected) return;
    await this.#beating;
    await this.#key
      ?.giveBack()
      .catch(error => this.#options.onError(error, 'cannot remove the presence key'));
    await this.say('offline');
  }

  /** Stops without writing anything: for a daemon whose id was taken. */
  abandon(): void {
    this.#isOpen = false;
    this.#isAbandoned = true;
    clearTimeout(this.#timer);
  }

  // Returns the incarnation that had the id before, if it did not leave in order.
  async #takeKey(key: HeldKey): Promise<string | undefined> {
    for (;;) {
      const found = await key.read();
      const record = this.#options.record();
      const other = readOther(found, record.incarnation);
      if (other && (await this.#isLive(key, found, other))) throw takenError(other);
      if (await key.take(found, heartbeatOf(record), this.#timeoutMs(record))) {
        this.#noteBeat();
        return other?.incarnation;
      }
    }
  }

  // The key's holder is asked; where none answers, once more, because it may have only just started.
  async #isLive(key: HeldKey, found: BucketEntry, other: NodeRecord): Promise<boolean> {
    for (let tries = 0; tries < 2; tries++) {
      const subject = nodeRequestSubject(other.id, 'ping');
      const { kind } = await this.#bus.requests.ask(subject, undefined, HOLDER_ANSWER_MS);
      if (kind !== 'no-responder') return true;
      if (tries === 0) await sleep(HOLDER_START_MS);
    }
    // A key that is gone by now has expired, or its holder has left.
    const now = await key.read();
    return now.value !== undefined && now.revision !== found.revision;
  }

  #schedule(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#beatBy(performance.now() + this.#options.record().heartbeatMs);
  }

  // Debounced, but the deadline is never pushed back: a record that changes all the time is written all the same.
  #beatBy(at: number): void {
    if (!this.#isOpen || at >= this.#dueAt) return;
    this.#dueAt = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), Math.max(0, at - performance.now()));
  }

  // One heartbeat at a time; a change during it is written right after.
  async #beat(): Promise<void> {
    if (this.#beating) {
      this.#isStale = true;
      return this.#beating;
    }
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#beating = this.#write()
      .catch((error: unknown) => {
        this.#healthySince = undefined;
        this.#options.onError(error, 'heartbeat not acknowledged');
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
    const key = this.#key;
    if (!key || !this.#isOpen) return;
    const record = this.#options.record();
    if (await key.renew(heartbeatOf(record), this.#timeoutMs(record))) return this.#noteBeat();
    const found = await key.read();
    const other = readOther(found, record.incarnation);
    if (other) {
      // Promise 2.
      this.abandon();
      this.#options.onTaken(other);
      return;
    }
    // The key expired, was lost with a server's memory, or is an own write whose acknowledgement was lost.
    const wasGone = found.value === undefined;
    if (!(await key.take(found, heartbeatOf(record), this.#timeoutMs(record))))
      throw new OrchError('conflict', 'the key changes too fast');
    this.#noteBeat();
    if (!wasGone) return;
    this.#options.onReturned();
    await this.#writeReturned();
  }

  // Promise 3.
  async #writeReturned(): Promise<void> {
    this.#healthySince = performance.now();
    const last = await lastNodeEntry(this.#bus, this.#options.record().id);
    // After a server's loss of memory no node was lost.
    if (last?.type === 'lost') await this.say('online', { returned: true, reason: 'heard of again' });
  }

  #noteBeat(): void {
    this.#beatAt = performance.now();
    this.#healthySince ??= this.#beatAt;
    this.#beats++;
  }

  // A late heartbeat is replaced by the next one.
  #timeoutMs({ heartbeatMs }: NodeRecord): number {
    return Math.max(1_000, Math.min(heartbeatMs, this.#bus.timeoutMs));
  }

  // An entry of the node itself is true whatever others wrote just before.
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

const heartbeatOf = (record: NodeRecord): Uint8Array =>
  encode({ ...record, sentAt: new Date().toISOString() });

// The record of another incarnation; a value that cannot be read counts as free.
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
