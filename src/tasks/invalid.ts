// Messages on the queue that are not tasks. They end as failed, and what they were is kept, for people to look at.
import type { Bus, Stored } from '../bus/index.ts';
import { TASKS, TaskMessage, type TaskRecord } from '../protocol/index.ts';
import { keepDeadLetter } from './dead-letters.ts';
import { append, fenceOf, lastEntry } from './journal.ts';
import { queuedRecord } from './lifecycle.ts';
import { readMessage } from './message.ts';

/** Ends a message that no lane can deliver, because its subject is not one of a task; what it was is kept. */
export async function refuseMessage(
  bus: Bus,
  subject: string,
  actor: string,
): Promise<TaskRecord | undefined> {
  const stored = await bus.streams.last(TASKS, subject, 'leader');
  if (!stored) return undefined;
  const read = readMessage(stored);
  if (read.kind === 'valid') return undefined;
  const record = await failInvalid(bus, stored, read.address, read.error, actor);
  await bus.streams.deleteMessage(TASKS, stored.seq);
  return record;
}

/** Writes that a message is not a valid task, unless a task of its id has a life of its own. */
export async function failInvalid(
  bus: Bus,
  message: Pick<Stored, 'seq' | 'time'>,
  address: Parameters<typeof queuedRecord>[0],
  error: string,
  actor: string,
): Promise<TaskRecord | undefined> {
  const last = await lastEntry(bus, address.taskId, 'leader');
  const record = last?.task ?? queuedRecord(address, TaskMessage.parse({}), message.time.toISOString());
  if (record.state !== 'queued') return undefined;
  await keepDeadLetter(bus, record.id, message.seq);
  const change = { type: 'failed', reason: 'invalid', error } as const;
  const appended = await append(bus, record, change, actor, { fence: fenceOf(last) });
  return appended.kind === 'written' ? appended.record : undefined;
}
