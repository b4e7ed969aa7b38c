// A task's life as a pure function: a record and a change give the next record, or undefined where that is not allowed.
// No clock, no server.
// Promise: from a final state only an operator's retry of a failed task leads on, so no sequence of changes reaches a
// second final state on its own.
import {
  type Backoff,
  ERROR_LENGTH_MAX,
  isActive,
  isFinal,
  type Priority,
  RELEASES_MAX,
  type Reason,
  type ResultReference,
  TaskMessage,
  TaskRecord,
  type TaskState,
} from '../protocol/index.ts';

/** What can happen to a task, with what each change brings along. */
export type Change =
  | { type: 'claimed'; node: string; queueSeq: number; leaseMs: number }
  | { type: 'started' }
  | { type: 'blocked'; question: string }
  | { type: 'done'; result?: unknown; resultRef?: ResultReference; exitCode?: number }
  | { type: 'retrying'; reason: Reason; error: string; notBefore: string; exitCode?: number }
  | { type: 'released'; reason: Reason; error?: string; notBefore?: string; exitCode?: number }
  | { type: 'failed'; reason: Reason; error: string; exitCode?: number }
  | { type: 'requeued' }
  | { type: 'unservable' }
  | { type: 'servable' }
  | { type: 'cancelled'; reason?: string };

const ACTIVE: readonly TaskState[] = ['claimed', 'started', 'blocked'];

/** For each change: the states that it may happen in, and the state that it leads to, if it is another one. */
export const TRANSITIONS: Record<Change['type'], { from: readonly TaskState[]; to?: TaskState }> = {
  // From an active state: its lease ran out.
  claimed: { from: ['queued', 'retrying', ...ACTIVE], to: 'claimed' },
  started: { from: ['claimed', 'blocked'], to: 'started' },
  blocked: { from: ['claimed', 'started'], to: 'blocked' },
  done: { from: ACTIVE, to: 'done' },
  retrying: { from: ACTIVE, to: 'retrying' },
  released: { from: ACTIVE, to: 'queued' },
  // From queued and retrying: a message that is not a valid task, or is not there.
  failed: { from: ['queued', 'retrying', ...ACTIVE], to: 'failed' },
  requeued: { from: ['failed'], to: 'queued' },
  cancelled: { from: ['queued', 'retrying', ...ACTIVE], to: 'cancelled' },
  unservable: { from: ['queued', 'retrying'] },
  servable: { from: ['queued', 'retrying'] },
};

/** The next record, or undefined when the change is not allowed in the record's state. `at` is an ISO time. */
export function apply(record: TaskRecord, change: Change, at: string): TaskRecord | undefined {
  const { from, to } = TRANSITIONS[change.type];
  if (!from.includes(record.state)) return undefined;
  const next: TaskRecord = { ...record, state: to ?? record.state, updatedAt: at };
  next.unservableSince = change.type === 'unservable' ? at : undefined;
  if (change.type === 'unservable' || change.type === 'servable') return next;
  // Clear the outcome of the previous state.
  Object.assign(next, NO_OUTCOME);
  switch (change.type) {
    case 'claimed':
      next.node = change.node;
      next.queueSeq = change.queueSeq;
      next.leaseMs = change.leaseMs;
      next.claimedAt = at;
      next.startedAt = undefined;
      next.attempt = record.attempt + 1;
      return next;
    case 'started':
      next.startedAt = at;
      return next;
    case 'blocked':
      next.question = change.question.slice(0, ERROR_LENGTH_MAX);
      return next;
    case 'requeued':
      next.forgiven = record.attempt;
      next.released = 0;
      return next;
    case 'released':
      next.forgiven = record.forgiven + 1;
      next.released = record.released + 1;
      return Object.assign(next, outcome(change, at));
    default:
      return Object.assign(next, outcome(change, at));
  }
}

/** Fields that a change leaves out are undefined, and so not written: a delete would make the record slow for good. */
const NO_OUTCOME = {
  endedAt: undefined,
  reason: undefined,
  error: undefined,
  exitCode: undefined,
  question: undefined,
  notBefore: undefined,
};

function outcome(
  { type: _, ...fields }: Change & { error?: string; reason?: string },
  at: string,
): Partial<TaskRecord> {
  if (fields.error !== undefined) fields.error = fields.error.slice(0, ERROR_LENGTH_MAX);
  if (fields.reason !== undefined) fields.reason = fields.reason.slice(0, ERROR_LENGTH_MAX);
  return { ...fields, endedAt: at };
}

export interface Failure {
  reason: Reason;
  error: string;
  exitCode?: number;
}

/**
 * What a failed attempt leads to: another attempt after a backoff, or the end as a dead letter.
 * `random` in [0, 1) draws the jitter.
 */
export function afterFailure(
  record: TaskRecord,
  failure: Failure,
  now: Date,
  random: number,
): Change & { type: 'retrying' | 'failed' } {
  if (attemptsUsed(record) >= record.maxAttempts) return { type: 'failed', ...failure };
  const pauseMs = backoffMs(record.backoff, attemptsUsed(record), random);
  return { type: 'retrying', ...failure, notBefore: new Date(now.getTime() + pauseMs).toISOString() };
}

/** Attempts that count against maxAttempts, the current one included. */
export function attemptsUsed(record: TaskRecord): number {
  return record.attempt - record.forgiven;
}

/** What giving an attempt back unharmed leads to: the lane again, or the end after too many of them. */
export function afterRelease(
  record: TaskRecord,
  release: { reason: Reason; error?: string; exitCode?: number; pause: boolean },
  now: Date,
  random: number,
): Change & { type: 'released' | 'failed' } {
  const { pause, ...rest } = release;
  if (record.released >= RELEASES_MAX) {
    return {
      type: 'failed',
      ...rest,
      reason: 'released-too-often',
      error: rest.error ?? `given back ${RELEASES_MAX} times`,
    };
  }
  if (!pause) return { type: 'released', ...rest };
  const pauseMs = backoffMs(record.backoff, record.released + 1, random);
  return { type: 'released', ...rest, notBefore: new Date(now.getTime() + pauseMs).toISOString() };
}

/** The pause after failure number `failures` (from 1), in milliseconds: exponential, drawn from its upper half. */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  const full = Math.min(backoff.maxMs, backoff.baseMs * backoff.factor ** (failures - 1));
  return Math.round(full / 2 + (full / 2) * random);
}

const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(TaskRecord.shape),
  ...Object.keys(TaskMessage.shape),
]);

/** The record of a task that no worker has claimed yet, from its message and where that lies. */
export function queuedRecord(
  address: { taskId: string; priority: Priority; lane: string },
  message: TaskMessage,
  createdAt: string,
): TaskRecord {
  // Field by field, and with those that a claim will fill: records of one shape are copied and written fast.
  const known = {
    id: address.taskId,
    state: 'queued' as const,
    priority: address.priority,
    lane: address.lane,
    description: message.description,
    repo: message.repo,
    labels: message.labels,
    timeoutMs: message.timeoutMs,
    stallTimeoutMs: message.stallTimeoutMs,
    maxAttempts: message.maxAttempts,
    backoff: message.backoff,
    notBefore: message.notBefore,
    createdBy: message.createdBy,
    traceparent: message.traceparent,
    createdAt,
    updatedAt: createdAt,
    attempt: 0,
    forgiven: 0,
    released: 0,
    node: undefined,
    queueSeq: undefined,
    leaseMs: undefined,
    claimedAt: undefined,
    startedAt: undefined,
    endedAt: undefined,
    reason: undefined,
    error: undefined,
    exitCode: undefined,
    question: undefined,
    unservableSince: undefined,
    // The result alone comes with the end.
  } satisfies Record<Exclude<keyof typeof TaskRecord.shape, 'result' | 'resultRef'>, unknown>;
  const record: TaskRecord = known;
  // The input stays in the queue: who may watch reads the journal, who may work reads the input. Fields that
  // orch does not know are kept; one that is called as a field of the record would pass for it.
  for (const key in message) if (!KNOWN.has(key)) record[key] = message[key];
  return record;
}

/** What a delivery of a task's message means, given the last entry about the task. */
export type ClaimDecision =
  | { kind: 'claim' }
  /** The lease of the active attempt ran out, or the server forgot it; its holder is asked before it is taken over. */
  | { kind: 'take-over' }
  /** It was given up because its message never came, and here it is: brought back first, then claimed. */
  | { kind: 'revive' }
  /** The task is final, or the message is a second one of the same task. */
  | { kind: 'drop' }
  | { kind: 'wait'; delayMs: number };

/** Whether a task was given up because the queue never had its message. It is as if it had not been published. */
export const isUnpublished = ({ state, reason }: Pick<TaskRecord, 'state' | 'reason'>): boolean =>
  state === 'failed' && reason === ('unpublished' satisfies Reason);

/** How long it is until a task may start, in milliseconds; not above 0 when it may. */
export const waitMs = ({ notBefore }: { notBefore?: string | undefined }, now: Date): number =>
  notBefore === undefined ? 0 : Date.parse(notBefore) - now.getTime();

/** Decides about a delivery from the record as it stands; `queueSeq` is the sequence of the delivered message. */
export function decideClaim(record: TaskRecord, queueSeq: number, now: Date): ClaimDecision {
  if (isUnpublished(record)) return { kind: 'revive' };
  if (isFinal(record.state)) return { kind: 'drop' };
  if (isActive(record.state)) return { kind: record.queueSeq === queueSeq ? 'take-over' : 'drop' };
  const delayMs = waitMs(record, now);
  return delayMs > 0 ? { kind: 'wait', delayMs } : { kind: 'claim' };
}
