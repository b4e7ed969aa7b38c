// Publishing a task: its queue message and its `queued` entry are written side by side, and it is published when both
// are acknowledged. The queue decides whether the task is new. The journal entry goes out first, so that on one server
// no claim can come before it; where one does (another leader), the claim stands and the entry is not needed.
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
import { append, appendQueued, lastEntry } from './journal.ts';
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

/**
 * Publishes a task. Throws `usage` for a field that is not allowed, `too_large` over 512 KiB, and `unavailable` when
 * the queue did not acknowledge: whether the task is queued is then unknown, and publishing the same id again is safe.
 */
export async function publishTask(bus: Bus, spec: TaskSpec, actor: string): Promise<Published> {
  const createdAt = new Date().toISOString();
  const { given, message } = readSpec(spec, actor, createdAt);
  message.traceparent = childSpan(message.traceparent);
  const id = taskIdOf(given.id);
  const lane = laneOf(given.capabilities ?? []);
  const priority = parsePriority(given.priority ?? 'medium');
  const bytes = encode(message);
  if (bytes.length > TASK_BYTES_MAX) {
    throw new OrchError(
      'too_large',
      `task ${id} weighs ${bytes.length} bytes, at most ${TASK_BYTES_MAX} are allowed`,
      {
        advice: 'put the bulk in a file or a repository and its address in the input',
      },
    );
  }
  const record = queuedRecord({ taskId: id, priority, lane }, message, createdAt);
  const nonce = newNonce();
  const [entry, queued, ready] = await Promise.allSettled([
    appendQueued(bus, record, actor, nonce),
    bus.streams.write(taskSubject(priority, lane, id), bytes, {
      expect: { lastSequence: 0, filter: anyTaskSubject(id) },
      headers: { [NONCE_HEADER]: nonce },
    }),
    bus.lanes.ensure(priority, lane),
  ]);
  if (ready.status === 'rejected') {
    // No lane would ever deliver it.
    if (queued.status === 'fulfilled' && queued.value.kind === 'stored')
      await bus.streams.deleteMessage(TASKS, queued.value.seq);
    throw ready.reason;
  }
  if (queued.status === 'rejected') throw queued.reason;
  if (queued.value.kind !== 'stored') {
    const inQueue = await bus.streams.last(TASKS, anyTaskSubject(id), 'leader');
    if (inQueue?.headers?.get(NONCE_HEADER) === nonce) return { id, created: true, state: 'queued', record };
    return existing(bus, record);
  }
  if (entry.status === 'fulfilled' && entry.value.kind !== 'stored')
    return explainConflict(bus, record, actor, nonce, queued.value.seq);
  // Without its entry the task is queued all the same: the claim writes what is missing.
  return { id, created: true, state: 'queued', record };
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

// The queue took the message, but the journal knows the id.
async function explainConflict(
  bus: Bus,
  record: TaskRecord,
  actor: string,
  nonce: string,
  queueSeq: number,
): Promise<Published> {
  const last = await lastEntry(bus, record.id, 'leader');
  const isOurs = last === undefined || last.nonce === nonce || last.task.queueSeq === queueSeq;
  // An entry whose publisher died before its message was stored is completed by ours; one that was written of the
  // waiting message came before our own.
  const isWaiting = last?.task.state === 'queued' && last.task.attempt === 0;
  if (isOurs || isWaiting)
    return { id: record.id, created: true, state: last?.task.state ?? 'queued', record };
  // So is one that was given up because its message never came.
  // A claim at the same moment has brought it back already.
  if (isUnpublished(last.task)) {
    const again = await append(bus, last.task, { type: 'requeued' }, actor, { fence: last.seq });
    const now = again.kind === 'written' ? again.record : (again.last?.task ?? record);
    return { id: record.id, created: true, state: now.state, record: now };
  }
  await bus.streams.deleteMessage(TASKS, queueSeq);
  return { id: record.id, created: false, state: last.task.state, record: last.task };
}

async function existing(bus: Bus, record: TaskRecord): Promise<Published> {
  const known = (await lastEntry(bus, record.id, 'leader'))?.task ?? (await unclaimedRecord(bus, record.id));
  if (known) return { id: record.id, created: false, state: known.state, record: known };
  throw new OrchError('unavailable', `whether task ${record.id} is queued could not be found out`, {
    advice: 'publish it again with the same --id, which is safe',
  });
}
