// Repairs waiting tasks: the queue has no message of one, or no node can serve it.
// A repair ends in a state that people see, and none is made while the other half may still be on its way.
import type { Bus } from '../bus/index.ts';
import {
  anyTaskSubject,
  DEAD,
  deadSubject,
  isActive,
  isFinal,
  isWaiting,
  TASKS,
  type TaskRecord,
} from '../protocol/index.ts';
import { isHolderAtWork } from './ask-holder.ts';
import { retryTask } from './dead-letters.ts';
import { append, fenceOf, type JournalLine, lastEntry } from './journal.ts';

/**
 * How long an entry may be without a message: longer than the longest time that a publisher waits for its
 * acknowledgement, so that a publish which was acknowledged is never given up.
 */
export const HALF_PUBLISHED_MS = 600_000;

export type Repaired = 'requeued' | 'failed' | 'fine';

/** Repairs a task that is not final and that the queue seems not to have. */
export async function repairTask(bus: Bus, taskId: string, actor: string): Promise<Repaired> {
  const last = await lastEntry(bus, taskId, 'leader');
  if (!last || isFinal(last.task.state) || !(await hasNoMessage(bus, taskId))) return 'fine';
  if (isActive(last.task.state) && (await isHolderAtWork(bus, last.task))) return 'fine';
  if (last.type === 'requeued' && (await bus.streams.last(DEAD, deadSubject(taskId), 'leader'))) {
    await retryTask(bus, taskId, actor);
    return 'requeued';
  }
  return giveUp(bus, last, actor);
}

async function giveUp(bus: Bus, last: JournalLine, actor: string): Promise<Repaired> {
  const change =
    last.type === 'queued'
      ? ({ reason: 'unpublished', error: 'the queue never had its message' } as const)
      : ({ reason: 'message-lost', error: 'its message is no longer in the queue' } as const);
  const appended = await append(bus, last.task, { type: 'failed', ...change }, actor, {
    fence: fenceOf(last),
  });
  return appended.kind === 'written' ? 'failed' : 'fine';
}

const hasNoMessage = async (bus: Bus, taskId: string): Promise<boolean> =>
  (await bus.streams.last(TASKS, anyTaskSubject(taskId), 'leader')) === undefined;

/** Marks a waiting task as unservable, or as servable again. False when it no longer waits. */
export async function flagService(
  bus: Bus,
  taskId: string,
  isServed: boolean,
  fresh: () => TaskRecord | undefined,
  actor: string,
): Promise<boolean> {
  const last = await lastEntry(bus, taskId, 'leader');
  const record = last?.task ?? fresh();
  if (!record || !isWaiting(record.state)) return false;
  if ((record.unservableSince !== undefined) === !isServed) return true;
  const change = { type: isServed ? 'servable' : 'unservable' } as const;
  const appended = await append(bus, record, change, actor, { fence: fenceOf(last) });
  return appended.kind === 'written';
}
