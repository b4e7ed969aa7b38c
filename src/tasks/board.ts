// The list of all tasks: the board's last entry of each, then the journal from where the board ends. The board alone
// may stand still for most of a minute after a server's death without saying so, and on a single server it is gone
// after a restart, for it is kept in memory: then the journal alone tells, and the next worker makes the board again.
import type { Bus, Stored } from '../bus/index.ts';
import {
  BOARD,
  boardSubject,
  JOURNAL,
  OrchError,
  type Priority,
  parseTaskSubject,
  TASKS,
  type TaskRecord,
  type TaskState,
} from '../protocol/index.ts';
import { tryReadEntry } from './journal.ts';

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
  let boardEnd = 0;
  for await (const { task, source } of boardLines(bus)) {
    boardEnd = Math.max(boardEnd, source);
    if (task) tasks.set(task.id, task);
  }
  for await (const stored of bus.range(JOURNAL, { filter: 'journal.task.>', from: boardEnd + 1 })) {
    const line = tryReadEntry(stored);
    if (line) tasks.set(line.task.id, line.task);
  }
  for (const subject of await bus.subjects(TASKS, 'tasks.>')) {
    const address = parseTaskSubject(subject);
    if (address && !tasks.has(address.taskId)) {
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

/**
 * Takes tasks that ended well or were cancelled before a time off the board, at most `max`; the journal keeps them.
 * Dead letters stay. So does the board's newest entry: it tells how far the board has come.
 */
export async function trimBoard(
  bus: Bus,
  { before, max, check }: { before: Date; max: number; check(): void },
): Promise<number> {
  const lines: { task: TaskRecord | undefined; source: number }[] = [];
  for await (const line of boardLines(bus)) lines.push(line);
  const newest = lines.reduce((most, { source }) => Math.max(most, source), 0);
  const over = lines.flatMap(({ task, source }) =>
    task &&
    (task.state === 'done' || task.state === 'cancelled') &&
    Date.parse(task.updatedAt) < before.getTime() &&
    source !== newest
      ? [task.id]
      : [],
  );
  for (const id of over.slice(0, max)) {
    check();
    await bus.purge(BOARD, boardSubject(id));
  }
  return Math.min(over.length, max);
}

// The board's entries, each with the journal sequence that it comes from; none without a board.
async function* boardLines(bus: Bus): AsyncGenerator<{ task: TaskRecord | undefined; source: number }> {
  try {
    for await (const stored of bus.range(BOARD, { filter: boardSubject('*') }))
      yield { task: tryReadEntry(stored)?.task, source: journalSequence(stored) };
  } catch (error) {
    if (!(error instanceof OrchError && error.code === 'not_found')) throw error;
  }
}

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
