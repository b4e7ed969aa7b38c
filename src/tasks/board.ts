// The list of all tasks: the board's last entry of each, then the journal from where the board ends. The board alone
// may stand still for most of a minute after a server's death without a sign of it, and a single server loses it at a
// restart, because it is kept in memory: then the journal alone is read, and the next worker makes the board again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Stored } from '../bus/index.ts';
import {
  BOARD,
  boardSubject,
  isFinal,
  JOURNAL,
  OrchError,
  type Priority,
  parseEntrySubject,
  parseLastToken,
  parseTaskSubject,
  queueFilter,
  TASK_STATES,
  TASKS,
  type TaskRecord,
  type TaskState,
  taskEntries,
} from '../protocol/index.ts';
import { tryReadEntry } from './journal.ts';

/** How long a throttled read goes on at a time. */
const PORTION_MS = 5;

export interface TaskFilter {
  states?: readonly TaskState[];
  lane?: string;
  priority?: Priority;
  node?: string;
  repo?: string;
  /** Published before this time. */
  olderThan?: Date;
}

/** A line of the list; a task that only the queue knows has no record yet. */
export type TaskLine = Pick<TaskRecord, 'id' | 'state' | 'priority' | 'lane'> & Partial<TaskRecord>;

/** All tasks that match, oldest first. Throws `unavailable` or `not_found` when orch was never used on this server. */
export async function listTasks(bus: Bus, filter: TaskFilter = {}): Promise<TaskLine[]> {
  const tasks = new Map<string, TaskLine>();
  // Most tasks are over, and that is seen without reading the whole entry.
  const wantsFinal = !filter.states?.length || filter.states.some(isFinal);
  const over = new Set<string>();
  const take = (id: string, stored: Stored) => {
    if (!wantsFinal && isFinalEntry(stored.bytes)) {
      over.add(id);
      tasks.delete(id);
      return;
    }
    over.delete(id);
    const task = tryReadEntry(stored)?.task;
    if (task) tasks.set(id, task);
  };
  for await (const { id, stored } of entries(bus)) take(id, stored);
  for (const subject of await bus.streams.subjects(TASKS, queueFilter)) {
    const address = parseTaskSubject(subject);
    if (address && !tasks.has(address.taskId) && !over.has(address.taskId)) {
      tasks.set(address.taskId, {
        id: address.taskId,
        state: 'queued',
        priority: address.priority,
        lane: address.lane,
      });
    }
  }
  return [...tasks.values()].filter(task => matches(task, filter)).sort(byAge);
}

/** Ids of the tasks that are not over and without an entry since a time. A throttled background read. */
export async function openSince(bus: Bus, before: Date, signal: AbortSignal): Promise<string[]> {
  const open = await readOpen(bus, signal, stored =>
    stored.time < before && openTask(stored) ? true : undefined,
  );
  return [...open.keys()];
}

/** The tasks that are marked as unservable. A throttled background read. */
export async function unservableTasks(bus: Bus, signal: AbortSignal): Promise<TaskRecord[]> {
  const flagged = await readOpen(bus, signal, stored => {
    const task = asBuffer(stored.bytes).includes('"unservableSince"') ? openTask(stored) : undefined;
    return task?.unservableSince === undefined ? undefined : task;
  });
  return [...flagged.values()];
}

// Undefined for what is no entry, and for an end that another client wrote in its own way.
function openTask(stored: Stored): TaskRecord | undefined {
  const task = tryReadEntry(stored)?.task;
  return task && !isFinal(task.state) ? task : undefined;
}

// What `pick` makes of the last entry of each task, as the journal was when this began; ends as orch writes them are
// left out before.
async function readOpen<T>(
  bus: Bus,
  signal: AbortSignal,
  pick: (stored: Stored) => T | undefined,
): Promise<Map<string, T>> {
  const open = new Map<string, T>();
  const take = (id: string, stored: Stored) => {
    const picked = isFinalEntry(stored.bytes) ? undefined : pick(stored);
    if (picked === undefined) open.delete(id);
    else open.set(id, picked);
  };
  const end = (await bus.streams.last(JOURNAL, taskEntries))?.seq ?? 0;
  // Beyond it entries may come faster than they are read.
  for await (const { id, stored } of throttled(entries(bus, end), signal)) take(id, stored);
  return open;
}

/** The pauses of all throttled reads: one after the other, so that they take a tenth together. */
let pauses: Promise<unknown> = Promise.resolve();

// A long background read in small portions: the process has nine tenths of the time for its tasks.
// Throws the signal's reason when it aborts: a stop does not wait for the rest.
async function* throttled<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  let since = performance.now();
  for await (const item of items) {
    signal.throwIfAborted();
    yield item;
    const workedMs = performance.now() - since;
    if (workedMs < PORTION_MS) continue;
    const pause = pauses.then(() => sleep(9 * workedMs, undefined, { signal }));
    pauses = pause.catch(() => {});
    await pause;
    since = performance.now();
  }
}

/**
 * Takes tasks that ended well or were cancelled before a time off the board, at most `max`; the journal keeps them.
 * Dead letters stay. So does the board's newest entry: it marks how far the board has come. A throttled background read.
 */
export async function trimBoard(
  bus: Bus,
  { before, max, signal, check }: { before: Date; max: number; signal: AbortSignal; check(): void },
): Promise<number> {
  let newest = 0;
  const old: { id: string; source: number }[] = [];
  for await (const { id, stored, source } of throttled(boardLines(bus), signal)) {
    newest = Math.max(newest, source);
    const { type, at } = beginningOf(stored);
    if ((type === 'done' || type === 'cancelled') && Date.parse(at) < before.getTime())
      old.push({ id, source });
  }
  const over = old.filter(({ source }) => source !== newest).map(({ id }) => id);
  for (const id of over.slice(0, max)) {
    check();
    await bus.streams.purge(BOARD, boardSubject(id));
  }
  return Math.min(over.length, max);
}

// The board's entry of each task, then what the journal has behind where the board ends, up to a journal sequence.
async function* entries(
  bus: Bus,
  end = Number.POSITIVE_INFINITY,
): AsyncGenerator<{ id: string; stored: Stored }> {
  let boardEnd = 0;
  for await (const { id, source, stored } of boardLines(bus)) {
    boardEnd = Math.max(boardEnd, source);
    yield { id, stored };
  }
  if (boardEnd >= end) return;
  for await (const stored of bus.streams.range(JOURNAL, { filter: taskEntries, from: boardEnd + 1 })) {
    if (stored.seq > end) return;
    yield { id: parseEntrySubject(stored.subject)?.id ?? '', stored };
  }
}

// The board's entries, each with the journal sequence that it comes from; none without a board.
async function* boardLines(bus: Bus): AsyncGenerator<{ id: string; source: number; stored: Stored }> {
  try {
    for await (const stored of bus.streams.range(BOARD, { filter: boardSubject('*') }))
      yield { id: parseLastToken(stored.subject), source: journalSequence(stored), stored };
  } catch (error) {
    if (!(error instanceof OrchError && error.code === 'not_found')) throw error;
  }
}

// orch writes the type of an entry first, then its time; an entry that another client wrote otherwise is read whole.
const FINAL_BEGINNINGS = TASK_STATES.filter(isFinal).map(type => Buffer.from(`{"type":"${type}",`));
const BEGINNING = /^\{"type":"([a-z]+)","at":"([^"]+)"/;
const BEGINNING_BYTES = 80;

const isFinalEntry = (bytes: Uint8Array): boolean =>
  FINAL_BEGINNINGS.some(beginning => beginning.equals(bytes.subarray(0, beginning.length)));

function beginningOf(stored: Stored): { type: string; at: string } {
  const [, type, at] = BEGINNING.exec(asBuffer(stored.bytes).toString('latin1', 0, BEGINNING_BYTES)) ?? [];
  if (type !== undefined && at !== undefined) return { type, at };
  return tryReadEntry(stored) ?? { type: '', at: '' };
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

// `Nats-Stream-Source: ORCH_JOURNAL 17 ...`
function journalSequence(stored: Stored): number {
  const sequence = Number(stored.headers?.get('Nats-Stream-Source').split(' ')[1]);
  if (!Number.isInteger(sequence))
    throw new OrchError('unavailable', `${BOARD} is not sourced from ${JOURNAL}`, {
      advice: 'run `orch doctor`',
    });
  return sequence;
}

function matches(task: TaskLine, filter: TaskFilter): boolean {
  return (
    (!filter.states?.length || filter.states.includes(task.state)) &&
    (filter.lane === undefined || task.lane === filter.lane) &&
    (filter.priority === undefined || task.priority === filter.priority) &&
    (filter.node === undefined || task.node === filter.node) &&
    (filter.repo === undefined || task.repo === filter.repo) &&
    (filter.olderThan === undefined ||
      (task.createdAt !== undefined && Date.parse(task.createdAt) < filter.olderThan.getTime()))
  );
}

const byAge = (a: TaskLine, b: TaskLine): number =>
  Date.parse(a.createdAt ?? '0') - Date.parse(b.createdAt ?? '0') || a.id.localeCompare(b.id);
