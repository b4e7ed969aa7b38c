// Dead letters: the message of a task that failed for good is copied before it leaves the queue, so that a retry
// finds the input again, whoever dies in between.
import type { Bus } from '../bus/index.ts';
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

/** Copies the queue message with this sequence, if it is still there. */
export async function keepDeadLetter(bus: Bus, taskId: string, queueSeq: number): Promise<void> {
  const message = await bus.bySequence(TASKS, queueSeq);
  if (!message) return;
  // A dead letter that is there already is the first message of the task, and a later one is not its better.
  await bus.write(deadSubject(taskId), message.bytes, {
    expect: { lastSequence: 0, filter: deadSubject(taskId) },
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
  const isHalfway = last.type === 'requeued' && !(await bus.last(TASKS, anyTaskSubject(taskId)));
  if (last.task.state !== 'failed' && !isHalfway) {
    throw new OrchError('conflict', `task ${taskId} is ${last.task.state}, only a failed one can be retried`);
  }
  const dead = await bus.last(DEAD, deadSubject(taskId), 'replica');
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
  await bus.ensureLane(record.priority, record.lane);
  const queued = await bus.write(taskSubject(record.priority, record.lane, taskId), dead.bytes, {
    expect: { lastSequence: 0, filter: anyTaskSubject(taskId) },
    ...contentType(dead.headers?.get(CONTENT_TYPE)),
  });
  // Where another retry came first, the message is in the queue and the copy is that one's to remove.
  if (queued.kind === 'stored') await bus.deleteMessage(DEAD, dead.seq);
  return record;
}

const contentType = (type: string | undefined) => (type ? { headers: { [CONTENT_TYPE]: type } } : {});
