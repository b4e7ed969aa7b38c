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
  const boardEnd = await readBoard(bus, tasks);
  for await (const stored of bus.range(JOURNAL, { filter: 'journal.task.>', from: boardEnd + 1 }))
    keep(tasks, stored);
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

// Returns the last journal sequence that the board has seen; 0 without a board.
async function readBoard(bus: Bus, tasks: Map<string, TaskLine>): Promise<number> {
  let end = 0;
  try {
    for await (const stored of bus.range(BOARD, { filter: boardSubject('*') })) {
      end = Math.max(end, journalSequence(stored));
      keep(tasks, stored);
    }
  } catch (error) {
    if (!(error instanceof OrchError && error.code === 'not_found')) throw error;
  }
  return end;
}

function keep(tasks: Map<string, TaskLine>, stored: Stored): void {
  const line = tryReadEntry(stored);
  if (line) tasks.set(line.task.id, line.task);
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
