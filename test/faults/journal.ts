// Reads what a run left on the servers with a plain NATS client: the journal, the queue, the dead letters, who holds a
// task; and deletes what the fault "delete" names. The one file that knows the wire, by the subjects of the protocol.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import {
  AGENTS,
  BOARD,
  bucketSubject,
  CHORES_LEASE,
  DEAD,
  deadSubject,
  decode,
  HoldsReply,
  holdsSubject,
  JOURNAL,
  JournalEntry,
  LEASES,
  NODES,
  nodeEntries,
  OUTPUT,
  parseEntrySubject,
  parseLastToken,
  queueFilter,
  TASKS,
  taskEntries,
} from '../../src/protocol/index.ts';
import type { Line } from './replay.ts';
import type { Deletable } from './schedule.ts';

const HOLDS_MS = 2_000;
const REQUEST_MS = 15_000;

export interface Journal {
  lines: Line[];
  /** Entries that are none, as the sequence and the reason. */
  unreadable: string[];
}

export class JournalReader {
  readonly #nc: NatsConnection;

  private constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  static async open(urls: readonly string[]): Promise<JournalReader> {
    return new JournalReader(
      await connect({
        servers: [...urls],
        name: 'faults-reader',
        noAsyncTraces: true,
        maxReconnectAttempts: -1,
        waitOnFirstConnect: true,
      }),
    );
  }

  close(): Promise<void> {
    return this.#nc.close();
  }

  /** The stream sequence of the last entry about a task; 0 without one. Throws when no server answers. */
  async lastSeq(): Promise<number> {
    const manager = await this.#manager();
    return (await manager.streams.getMessage(JOURNAL, { last_by_subj: taskEntries }))?.seq ?? 0;
  }

  /** The ids of the nodes that the journal knows. */
  async knownNodes(): Promise<Set<string>> {
    const manager = await this.#manager();
    const { state } = await manager.streams.info(JOURNAL, { subjects_filter: nodeEntries });
    return new Set(Object.keys(state.subjects ?? {}).map(subject => parseEntrySubject(subject)?.id ?? ''));
  }

  /** All entries about tasks from a sequence on, oldest first. */
  async read(from = 1): Promise<Journal> {
    const journal: Journal = { lines: [], unreadable: [] };
    const options = { filter_subjects: [taskEntries], opt_start_seq: from };
    const consumer = await jetstream(this.#nc).consumers.get(JOURNAL, options);
    if ((await consumer.info()).num_pending === 0) return journal;
    for await (const msg of await consumer.consume({ max_messages: 5_000 })) {
      const address = parseEntrySubject(msg.subject);
      try {
        const entry = JournalEntry.parse(decode(msg.data));
        const { id = '', type = '', actor = '' } = address ?? {};
        journal.lines.push({ seq: msg.seq, id, type, actor, storedAt: Date.parse(msg.timestamp), entry });
      } catch (error) {
        journal.unreadable.push(`${msg.seq} ${msg.subject}: ${(error as Error).message}`);
      }
      if (msg.info.pending === 0) break;
    }
    return journal;
  }

  /** The ids of the tasks whose message is in the queue. */
  async queued(): Promise<Set<string>> {
    return this.#ids(TASKS, queueFilter);
  }

  /** The ids of the tasks whose input is kept for a retry. */
  async dead(): Promise<Set<string>> {
    return this.#ids(DEAD, deadSubject('*'));
  }

  /** Whether a node answers that it is at work on a task. */
  async holds(node: string, taskId: string): Promise<boolean> {
    try {
      const reply = await this.#nc.request(holdsSubject(node, taskId), undefined, { timeout: HOLDS_MS });
      return HoldsReply.parse(decode(reply.data)).holds;
    } catch {
      return false;
    }
  }

  /** Deletes one thing; `which` chooses among several. Returns what it was. */
  async delete(what: Deletable, which: number): Promise<string> {
    const manager = await this.#manager();
    const stream = {
      board: BOARD,
      'nodes-bucket': NODES,
      'agents-bucket': AGENTS,
      'leases-bucket': LEASES,
      output: OUTPUT,
    };
    switch (what) {
      case 'lane-consumer': {
        const names = (await manager.consumers.list(TASKS).next()).map(({ name }) => name).sort();
        const name = names[which % Math.max(1, names.length)];
        if (name === undefined) return 'no lane';
        await manager.consumers.delete(TASKS, name);
        return name;
      }
      case 'node-key': {
        const nodes = [...(await this.knownNodes())].sort();
        const node = nodes[which % Math.max(1, nodes.length)] ?? 'none';
        return this.#deleteKey(NODES, node);
      }
      case 'chores-lease':
        return this.#deleteKey(LEASES, CHORES_LEASE);
      default:
        await manager.streams.delete(stream[what]);
        return stream[what];
    }
  }

  async #deleteKey(bucket: string, key: string): Promise<string> {
    const subject = bucketSubject(bucket, key);
    const deleting = headers();
    deleting.set('KV-Operation', 'DEL');
    await jetstream(this.#nc).publish(subject, new Uint8Array(), { headers: deleting });
    return subject;
  }

  async #ids(stream: string, filter: string): Promise<Set<string>> {
    const manager = await this.#manager();
    const { state } = await manager.streams.info(stream, { subjects_filter: filter });
    return new Set(Object.keys(state.subjects ?? {}).map(parseLastToken));
  }

  #manager() {
    return jetstreamManager(this.#nc, { checkAPI: false, timeout: REQUEST_MS });
  }
}
