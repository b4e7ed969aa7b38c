// A short look at what orch's own code wrote, in place of the schema. It knows values with all defaults filled in and
// every field within its bounds, which the schema would give back as they are. All others the schema has to look at, to
// fill in what is left out or to say what is wrong.
// The schema takes ten times as long, and stands in the way of each task twice. `whole.test.ts` holds the two together.
import { isPriority } from './names.ts';
import {
  ATTEMPTS_MAX,
  BACKOFF_FACTOR,
  CREATED_BY_LENGTH_MAX,
  DESCRIPTION_LENGTH_MAX,
  type JournalEntry,
  LABEL_KEY_LENGTH_MAX,
  LABEL_VALUE_LENGTH_MAX,
  LABELS_MAX,
  REPO_LENGTH_MAX,
  TASK_EVENT_TYPES,
  TASK_STATES,
  TASK_TIMEOUT_MS_MAX,
  type TaskMessage,
  TRACEPARENT,
} from './task.ts';
import { isTimestamp } from './time.ts';

/** Whether a value is a whole task message. */
export function isWholeMessage(value: unknown): value is TaskMessage {
  return isPlain(value) && hasTerms(value) && isAbsentOr(value.createdAt, isTimestamp);
}

/** Whether a value is a whole entry of the journal. */
export function isWholeEntry(value: unknown): value is JournalEntry {
  return (
    isPlain(value) &&
    EVENT_TYPES.has(value.type) &&
    isTimestamp(value.at) &&
    isString(value.actor) &&
    isString(value.nonce) &&
    isPlain(value.task) &&
    isWholeRecord(value.task)
  );
}

function isWholeRecord(value: Fields): boolean {
  return (
    isString(value.id) &&
    STATES.has(value.state) &&
    isString(value.priority) &&
    isPriority(value.priority) &&
    isString(value.lane) &&
    hasTerms(value) &&
    isTimestamp(value.createdAt) &&
    isTimestamp(value.updatedAt) &&
    isIntWithin(value.attempt, 0) &&
    isIntWithin(value.forgiven, 0) &&
    isIntWithin(value.released, 0) &&
    isAbsentOr(value.node, isString) &&
    isAbsentOr(value.queueSeq, Number.isSafeInteger) &&
    isAbsentOr(value.leaseMs, Number.isSafeInteger) &&
    isAbsentOr(value.claimedAt, isTimestamp) &&
    isAbsentOr(value.startedAt, isTimestamp) &&
    isAbsentOr(value.endedAt, isTimestamp) &&
    isAbsentOr(value.reason, isString) &&
    isAbsentOr(value.error, isString) &&
    isAbsentOr(value.exitCode, Number.isSafeInteger) &&
    isAbsentOr(value.question, isString) &&
    isAbsentOr(value.unservableSince, isTimestamp) &&
    // Of large results there are few.
    value.resultRef === undefined
  );
}

function hasTerms(value: Fields): boolean {
  const { backoff } = value;
  return (
    isText(value.description, DESCRIPTION_LENGTH_MAX) &&
    isAbsentOr(value.repo, repo => isText(repo, REPO_LENGTH_MAX)) &&
    isPlain(value.labels) &&
    areLabels(value.labels) &&
    isIntWithin(value.timeoutMs, 1, TASK_TIMEOUT_MS_MAX) &&
    isIntWithin(value.stallTimeoutMs, 0, TASK_TIMEOUT_MS_MAX) &&
    isIntWithin(value.maxAttempts, 1, ATTEMPTS_MAX) &&
    isPlain(backoff) &&
    isIntWithin(backoff.baseMs, 0, TASK_TIMEOUT_MS_MAX) &&
    typeof backoff.factor === 'number' &&
    backoff.factor >= BACKOFF_FACTOR.min &&
    backoff.factor <= BACKOFF_FACTOR.max &&
    isIntWithin(backoff.maxMs, 0, TASK_TIMEOUT_MS_MAX) &&
    isAbsentOr(value.notBefore, isTimestamp) &&
    isText(value.createdBy, CREATED_BY_LENGTH_MAX) &&
    isAbsentOr(value.traceparent, traceparent => isString(traceparent) && TRACEPARENT.test(traceparent))
  );
}

function areLabels(labels: Fields): boolean {
  const keys = Object.keys(labels);
  return (
    keys.length <= LABELS_MAX &&
    keys.every(key => key.length <= LABEL_KEY_LENGTH_MAX && isText(labels[key], LABEL_VALUE_LENGTH_MAX))
  );
}

type Fields = Record<string, unknown>;

const EVENT_TYPES: ReadonlySet<unknown> = new Set(TASK_EVENT_TYPES);
const STATES: ReadonlySet<unknown> = new Set(TASK_STATES);

// JSON can name a field `__proto__`, which an assignment elsewhere would take for the prototype; the schema drops it.
const isPlain = (value: unknown): value is Fields =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  !Object.hasOwn(value, '__proto__');
const isString = (value: unknown): value is string => typeof value === 'string';
const isAbsentOr = (value: unknown, is: (value: unknown) => boolean): boolean =>
  value === undefined || is(value);
const isText = (value: unknown, lengthMax: number): boolean => isString(value) && value.length <= lengthMax;
const isIntWithin = (value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): boolean =>
  Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
