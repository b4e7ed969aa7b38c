// Dead letters: the message of a task that failed for good is copied before it leaves the queue, so that a retry
// finds the input again, whichever process dies in between.
// Promise: the copy outlives the retry. The next attempt may fail while the retry is still under way, and would find
// the copy there and write none; it expires with the journal.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Stored } from '../bus/index.ts';
import {
  anyTaskSubject,
  CONTENT_TYPE,
  DEAD,
  deadSubject,
  OrchError,
  TASKS,
  type TaskRecord,
  taskSubject,
} from '../protocol/index.ts';
import { append, fenceOf, lastEntry } from './journal.ts';

const ENQUEUE_TRIES_MAX = 50;
const ENQUEUE_PAUSE_MS = 100;

/** Copies the queue message with this sequence, if it is still there. */
export async function keepDeadLetter(
  bus: Bus,
  taskId: string,
  queueSeq: number,
  signal?: AbortSignal,
): Promise<void> {
  const message = await bus.streams.bySequence(TASKS, queueSeq, 'leader');
  if (!message) return;
  // Keep the first copy; never overwrite it.
  await bus.streams.write(deadSubject(taskId), message.bytes, {
    expect: { lastSequence: 0, filter: deadSubject(taskId) },
    signal,
    ...contentType(message.headers?.get(CONTENT_TYPE)),
  });
}

/**
 * Brings a failed task back to its lane with all its attempts. Run again after a crash in between, it completes.
 * Throws `not_found` for an unknown task or one whose input is no longer kept, `conflict` when it has not failed.
 */
export async function retryTask(bus: Bus, taskId: string, actor: string): Promise<TaskRecord> {
  const last = await lastEntry(bus, taskId, 'leader');
  if (!last) throw new OrchError('not_found', `no task ${taskId}`);
  const isHalfway =
    last.type === 'requeued' && !(await bus.streams.last(TASKS, anyTaskSubject(taskId), 'leader'));
  if (last.task.state !== 'failed' && !isHalfway) {
    throw new OrchError('conflict', `task ${taskId} is ${last.task.state}, only a failed one can be retried`);
  }
  const dead = await bus.streams.last(DEAD, deadSubject(taskId), 'leader');
  if (!dead)
    throw new OrchError('not_found', `the input of task ${taskId} is no longer kept`, {
      advice: 'publish it again',
    });
  let record = last.task;
  if (!isHalfway) {
    const appended = await append(bus, record, { type: 'requeued' }, actor, { fence: fenceOf(last) });
    if (appended.kind === 'conflict')
      throw new OrchError('conflict', `task ${taskId} was changed by ${appended.last?.actor} just now`);
    record = appended.record;
  }
  await bus.lanes.ensure(record.priority, record.lane);
  await enqueueAgain(bus, record, dead);
  return record;
}

// The acknowledgement of the old message may still be on its way; until it is there, the queue refuses a new one.
async function enqueueAgain(bus: Bus, record: TaskRecord, dead: Stored): Promise<void> {
  for (let tries = 0; tries < ENQUEUE_TRIES_MAX; tries++) {
    const queued = await bus.streams.write(taskSubject(record.priority, record.lane, record.id), dead.bytes, {
      expect: { lastSequence: 0, filter: anyTaskSubject(record.id) },
      ...contentType(dead.headers?.get(CONTENT_TYPE)),
    });
    if (queued.kind === 'stored') return;
    await sleep(ENQUEUE_PAUSE_MS);
  }
  throw new OrchError('conflict', `task ${record.id} is still in the queue from before`, {
    advice: 'retry it again in a moment',
  });
}

const contentType = (type: string | undefined) => (type ? { headers: { [CONTENT_TYPE]: type } } : {});
