// Journals for the tests of the checks: the entries of tasks as a fleet would write them, which a test then spoils.
import type { JournalEntry, TaskRecord } from '../../src/protocol/index.ts';
import { apply, type Change, queuedRecord } from '../../src/tasks/index.ts';
import type { Facts, ListedTask } from './checks.ts';
import { BACKOFF, OPERATOR } from './fleet.ts';
import type { PlannedTask } from './load.ts';
import type { Line } from './replay.ts';

const BEGAN = Date.parse('2026-01-31T12:00:00.000Z');

/** Writes the journal of one task. */
export class History {
  readonly id: string;
  readonly lines: Line[] = [];
  #record: TaskRecord;
  #now: number;

  constructor(id = 't-1', { lane = 'any', maxAttempts = 3, atMs = 0 } = {}) {
    this.id = id;
    this.#now = BEGAN + atMs;
    const message = {
      ...{ description: '', labels: {}, timeoutMs: 60_000, stallTimeoutMs: 0, maxAttempts, backoff: BACKOFF },
      createdBy: 'pub-a',
    };
    this.#record = queuedRecord({ taskId: id, priority: 'medium', lane }, message, this.#at);
    this.#store('queued', 'pub-a');
  }

  /** Adds the entry that a change leads to, so long after the one before. */
  write(change: Change, actor: string, afterMs = 1_000): this {
    this.#now += afterMs;
    const next = apply(this.#record, change, this.#at);
    if (!next) throw new Error(`${this.#record.state} cannot become ${change.type}`);
    this.#record = next;
    this.#store(change.type, actor);
    return this;
  }

  claimed(node = 'n1', afterMs?: number): this {
    return this.write({ type: 'claimed', node, queueSeq: 1, leaseMs: 4_000 }, node, afterMs);
  }

  done(node = 'n1'): this {
    return this.write({ type: 'done', result: { attempt: this.#record.attempt, node } }, node);
  }

  retrying(node = 'n1'): this {
    const change = {
      type: 'retrying',
      reason: 'error',
      error: 'meant to fail',
      notBefore: this.#at,
    } as const;
    return this.write(change, node);
  }

  failed(node = 'n1'): this {
    return this.write({ type: 'failed', reason: 'error', error: 'meant to fail' }, node);
  }

  requeued(): this {
    return this.write({ type: 'requeued' }, OPERATOR);
  }

  /** Adds an entry as it is, whatever came before. */
  spoiled(type: JournalEntry['type'], actor: string, changes: Partial<TaskRecord> = {}): this {
    this.#now += 1_000;
    this.#record = { ...this.#record, ...changes };
    this.#store(type, actor);
    return this;
  }

  get #at(): string {
    return new Date(this.#now).toISOString();
  }

  #store(type: JournalEntry['type'], actor: string): void {
    const seq = 10 * this.lines.length + 1;
    const entry: JournalEntry = { type, at: this.#at, actor, nonce: String(seq), task: this.#record };
    this.lines.push({ seq, id: this.id, type, actor, storedAt: this.#now, entry });
  }
}

/** What a run found in which these tasks were published, acknowledged and run by their nodes, and nothing went wrong. */
export function factsOf(histories: readonly History[], changes: Partial<Facts> = {}): Facts {
  const lines = histories.flatMap(history => history.lines);
  const claims = lines.filter(({ type }) => type === 'claimed').map(({ entry }) => entry.task);
  const nodes = new Set(claims.map(({ node = '' }) => node));
  return {
    planned: histories.map(({ id }) => plannedTask(id)),
    acknowledged: new Set(histories.map(({ id }) => id)),
    cancelled: new Set(),
    retried: new Map(),
    lines,
    unreadable: [],
    listed: histories.flatMap(history => listedTask(history)),
    listedAt: Number.POSITIVE_INFINITY,
    queued: new Set(),
    dead: new Set(),
    held: new Set(),
    isQuiet: true,
    ran: new Map(
      [...nodes].map(node => [
        node,
        claims.filter(task => task.node === node).map(({ id, attempt }) => `${id} ${attempt}`),
      ]),
    ),
    ...{ spells: [], stops: [], deaths: [], leftovers: [] },
    logs: new Map(),
    ...changes,
  };
}

/** The line of the list that is the fold of a task's journal. */
export function listedTask({ lines }: History): ListedTask[] {
  const task = lines.at(-1)?.entry.task;
  return task ? [{ id: task.id, state: task.state, attempt: task.attempt, updatedAt: task.updatedAt }] : [];
}

/** A task of a kind that ends well. */
export const plannedTask = (id: string, kind: PlannedTask['kind'] = 'ok'): PlannedTask => ({
  ...{ id, kind, atMs: 0, publishers: ['pub-a'], capabilities: [], priority: 'medium' },
  ...{ input: 'ok 0 0 0', maxAttempts: 3, timeoutMs: 60_000 },
});
