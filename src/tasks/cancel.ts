// Cancelling a task in any state that is not final: the entry first, then the message. A worker that runs it receives the
// event and is fenced in any case.
import type { Bus } from '../bus/index.ts';
import { anyTaskSubject, isFinal, OrchError, TASKS, type TaskRecord } from '../protocol/index.ts';
import { append, fenceOf, lastEntry } from './journal.ts';
import { queuedRecord } from './lifecycle.ts';
import { readMessage } from './message.ts';

/** Claims and ends come between read and write; more often than this they do not. */
const TRIES_MAX = 10;

export type Cancelled = { kind: 'cancelled'; record: TaskRecord } | { kind: 'final'; record: TaskRecord };

/** Throws `not_found` for an unknown task. A task that is final already is a value. */
export async function cancelTask(
  bus: Bus,
  taskId: string,
  actor: string,
  reason?: string,
): Promise<Cancelled> {
  let last = await lastEntry(bus, taskId);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const record = last?.task ?? (await unclaimedRecord(bus, taskId));
    if (!record) throw new OrchError('not_found', `no task ${taskId}`);
    if (isFinal(record.state)) return { kind: 'final', record };
    const change =
      reason === undefined ? ({ type: 'cancelled' } as const) : ({ type: 'cancelled', reason } as const);
    const appended = await append(bus, record, change, actor, { fence: fenceOf(last) });
    if (appended.kind === 'written') {
      await bus.streams.purge(TASKS, anyTaskSubject(taskId));
      return { kind: 'cancelled', record: appended.record };
    }
    last = appended.last;
  }
  throw new OrchError('conflict', `task ${taskId} changes too fast to be cancelled`, { advice: 'try again' });
}

/** The record of a task that only the queue knows: a foreign client published it and no worker has claimed it yet. */
export async function unclaimedRecord(bus: Bus, taskId: string): Promise<TaskRecord | undefined> {
  const stored = await bus.streams.last(TASKS, anyTaskSubject(taskId), 'leader');
  if (!stored) return undefined;
  const read = readMessage({ subject: stored.subject, headers: stored.headers, bytes: stored.bytes });
  return read.kind === 'valid'
    ? queuedRecord(read.address, read.message, read.message.createdAt ?? stored.time.toISOString())
    : undefined;
}
