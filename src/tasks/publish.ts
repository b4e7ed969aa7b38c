// Publishing a task: its queue message and its `queued` entry. It is published when the queue has acknowledged.
// Promise: nothing that entered the queue is taken back. A publisher cannot know that no worker has it.
import * as z from 'zod';
import type { Bus } from '../bus/index.ts';
import { newNonce, randomHex } from '../journal/index.ts';
import {
  anyTaskSubject,
  canonicalCheck,
  encode,
  isCanonicalMessage,
  laneOf,
  OrchError,
  type Priority,
  parseAs,
  parseId,
  parsePriority,
  TASK_BYTES_MAX,
  TASKS,
  TaskMessage,
  type TaskMessageInput,
  type TaskRecord,
  type TaskState,
  TERMS_DEFAULT,
  taskSubject,
} from '../protocol/index.ts';
import { unclaimedRecord } from './cancel.ts';
import { append, appendQueued, type JournalLine, lastEntry } from './journal.ts';
import { isUnpublished, queuedRecord } from './lifecycle.ts';
import { childSpan } from './trace.ts';

/** A task to publish. All but what is to be done has a default. */
export interface TaskSpec extends TaskMessageInput {
  /** Default: a new one. The same id is never queued twice. */
  id?: string;
  /** Required capabilities; default none: any worker. */
  capabilities?: readonly string[];
  /** Default `medium`. */
  priority?: Priority;
}

export interface Published {
  id: string;
  /** False: the id was there before, and `state` is what became of it. */
  created: boolean;
  state: TaskState;
  record: TaskRecord;
}

// What the subject carries. The values are checked when the subject is built.
const Address = z.looseObject({
  id: z.string().optional(),
  capabilities: z.array(z.string()).optional(),
  priority: z.string().optional(),
});
const hasAddress = canonicalCheck(Address);

// A spec may come from a file.
const Spec = z.looseObject({
  ...TaskMessage.shape,
  // Replaced by the time of publishing.
  createdAt: z.unknown().optional(),
  // Without a default of its own: the actor published it.
  createdBy: TaskMessage.shape.createdBy.unwrap().optional(),
  ...Address.shape,
});

/** Marks a queue message as its publisher's own, to distinguish a resend from another publisher's task. */
const NONCE_HEADER = 'Orch-Nonce';

/** The id that was given, or a new one. Throws `usage`. */
export const taskIdOf = (given: string | undefined): string =>
  given === undefined ? newTaskId() : parseId(given, 'id');

/** A new id: sorts by time, and two machines do not meet. */
export const newTaskId = (): string => `t${Date.now().toString(36)}-${randomHex(5)}`;

/** A task that is ready to be written. */
interface Prepared {
  record: TaskRecord;
  /** The queue message. */
  bytes: Uint8Array;
  nonce: string;
  actor: string;
}

/**
 * Publishes a task. Throws `usage` for a field that is not allowed, `too_large` over 512 KiB, and `unavailable` when
 * the queue did not acknowledge: whether the task is queued is then unknown, and publishing the same id again is safe.
 */
export async function publishTask(bus: Bus, spec: TaskSpec, actor: string): Promise<Published> {
  return publishAs(bus, spec, actor, spec?.id === undefined);
}

/** The same where the caller may have drawn a new id itself, so that no other publisher can have it. */
export async function publishAs(
  bus: Bus,
  spec: TaskSpec,
  actor: string,
  isNewId: boolean,
): Promise<Published> {
  const task = prepare(spec, actor);
  // A task without a lane is not delivered, and one that was queued is never taken back: a worker may have it already.
  await bus.lanes.ensure(task.record.priority, task.record.lane);
  return isNewId ? publishNew(bus, task) : publishNamed(bus, task);
}

function prepare(spec: TaskSpec, actor: string): Prepared {
  const createdAt = new Date().toISOString();
  const { given, message } = readSpec(spec, actor, createdAt);
  message.traceparent = childSpan(message.traceparent);
  const address = {
    taskId: taskIdOf(given.id),
    priority: parsePriority(given.priority ?? 'medium'),
    lane: laneOf(given.capabilities ?? []),
  };
  const bytes = encode(message);
  if (bytes.length > TASK_BYTES_MAX) {
    throw new OrchError(
      'too_large',
      `task ${address.taskId} weighs ${bytes.length} bytes, at most ${TASK_BYTES_MAX} are allowed`,
      { advice: 'put the bulk in a file or a repository and its address in the input' },
    );
  }
  return { record: queuedRecord(address, message, createdAt), bytes, nonce: newNonce(), actor };
}

// The id is this publisher's own, so the two writes go side by side. Without its entry the task is queued all the same:
// the claim writes what is missing.
async function publishNew(bus: Bus, task: Prepared): Promise<Published> {
  const [queued] = await Promise.allSettled([
    enqueue(bus, task),
    appendQueued(bus, task.record, task.actor, task.nonce),
  ]);
  if (queued.status === 'rejected') throw queued.reason;
  // A message that is refused although no one else has the id is this one, sent twice.
  return { id: task.record.id, created: true, state: 'queued', record: task.record };
}

// Another publisher may have the id. The journal is written first and decides: a message that is not the task's own
// never enters the queue, where a worker could take it.
async function publishNamed(bus: Bus, task: Prepared): Promise<Published> {
  const { record, nonce } = task;
  const entry = await appendQueued(bus, record, task.actor, nonce);
  const before = entry.kind === 'stored' ? undefined : await lastEntry(bus, record.id, 'leader');
  if (before && !mayBeUnqueued(before, nonce)) return known(before.task);
  const queued = await enqueue(bus, task);
  if (queued.kind !== 'stored') return existing(bus, task);
  if (before && isUnpublished(before.task)) return revive(bus, task, before);
  return before ? afterLateMessage(bus, task, queued.seq) : created(record);
}

const created = (record: TaskRecord): Published => ({
  id: record.id,
  created: true,
  state: record.state,
  record,
});
const known = (record: TaskRecord): Published => ({ ...created(record), created: false });

// Whether the queue may lack the message of a known task: its publisher died before it was stored.
const mayBeUnqueued = (last: JournalLine, nonce: string): boolean =>
  last.nonce === nonce ||
  isUnpublished(last.task) ||
  (last.task.state === 'queued' && last.task.attempt === 0);

function enqueue(bus: Bus, { record, bytes, nonce }: Prepared) {
  return bus.streams.write(taskSubject(record.priority, record.lane, record.id), bytes, {
    expect: { lastSequence: 0, filter: anyTaskSubject(record.id) },
    headers: { [NONCE_HEADER]: nonce },
  });
}

// The task was given up because its message never came. A claim at the same moment brings it back too.
async function revive(bus: Bus, { record, actor }: Prepared, last: JournalLine): Promise<Published> {
  const again = await append(bus, last.task, { type: 'requeued' }, actor, { fence: last.seq });
  return created(again.kind === 'written' ? again.record : (again.last?.task ?? record));
}

// The message of an earlier publisher came and was worked off between the two writes, or ours completes the task. A
// second message of a task is dropped by the worker that gets it.
async function afterLateMessage(bus: Bus, { record }: Prepared, queueSeq: number): Promise<Published> {
  const now = (await lastEntry(bus, record.id, 'leader'))?.task ?? record;
  const isOurs = now.attempt === 0 || now.queueSeq === queueSeq;
  return isOurs ? created({ ...record, state: now.state }) : known(now);
}

// Parses only a spec that is not canonical, to fill in what is missing or to report what is wrong.
function readSpec(
  spec: TaskSpec,
  actor: string,
  createdAt: string,
): { given: TaskSpec; message: TaskMessage } {
  const message = hasAddress(spec) ? messageFrom(spec, actor, createdAt) : undefined;
  if (isCanonicalMessage(message)) return { given: spec, message };
  const given = parseAs(Spec, spec, 'task') as TaskSpec;
  return { given, message: messageFrom(given, actor, createdAt) as TaskMessage };
}

// Field by field, which is fast; what stands in the subject is left out, and fields that orch does not know are kept.
function messageFrom(given: TaskMessageInput, actor: string, createdAt: string): TaskMessageInput {
  const {
    description = TERMS_DEFAULT.description,
    repo,
    labels = {},
    timeoutMs = TERMS_DEFAULT.timeoutMs,
    stallTimeoutMs = TERMS_DEFAULT.stallTimeoutMs,
    maxAttempts = TERMS_DEFAULT.maxAttempts,
    backoff = { ...TERMS_DEFAULT.backoff },
    notBefore,
    createdBy = actor,
    traceparent,
    input,
  } = given;
  const message: TaskMessageInput = {
    description,
    repo,
    labels,
    timeoutMs,
    stallTimeoutMs,
    maxAttempts,
    backoff,
    notBefore,
    createdBy,
    traceparent,
    createdAt,
    input,
  } satisfies Record<keyof typeof TaskMessage.shape, unknown>;
  for (const key in given) if (!(key in Spec.shape)) message[key] = given[key];
  return message;
}

// The queue has a message of this id: this one, sent twice, or another's.
async function existing(bus: Bus, { record, nonce }: Prepared): Promise<Published> {
  const inQueue = await bus.streams.last(TASKS, anyTaskSubject(record.id), 'leader');
  if (inQueue?.headers?.get(NONCE_HEADER) === nonce) return created(record);
  const task = (await lastEntry(bus, record.id, 'leader'))?.task ?? (await unclaimedRecord(bus, record.id));
  if (task) return known(task);
  throw new OrchError('unavailable', `cannot tell whether task ${record.id} was queued`, {
    advice: 'publish it again with the same --id, which is safe',
  });
}
