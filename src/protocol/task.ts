// The task as data: the message that is queued, the record that the journal carries, the output that it prints.
// Unknown fields are kept wherever orch reads and writes a value again, so that a newer client loses nothing.
import * as z from 'zod';
import { PRIORITIES } from './names.ts';
import { timestamp } from './time.ts';

export const TASK_BYTES_MAX = 512 * 1024;
export const DESCRIPTION_LENGTH_MAX = 4_096;
export const REPO_LENGTH_MAX = 512;
export const LABELS_MAX = 32;
export const LABEL_KEY_LENGTH_MAX = 64;
export const LABEL_VALUE_LENGTH_MAX = 256;
export const CREATED_BY_LENGTH_MAX = 64;
export const ATTEMPTS_MAX = 100;
/** A task can be given back unharmed (drain, exit 75) this often before that counts as a failure of its own. */
export const RELEASES_MAX = 100;
export const TASK_TIMEOUT_MS_MAX = 7 * 86_400_000;
export const RESULT_INLINE_BYTES_MAX = 64 * 1024;
export const RESULT_BYTES_MAX = 64 * 1024 * 1024;
export const ERROR_LENGTH_MAX = 2_048;
export const OUTPUT_LINE_LENGTH_MAX = 8 * 1024;

export const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The terms of a task that says nothing of them. */
export const TERMS_DEFAULT = {
  description: '',
  timeoutMs: 1_800_000,
  stallTimeoutMs: 0,
  maxAttempts: 3,
  backoff: { baseMs: 1_000, factor: 2, maxMs: 300_000 },
  createdBy: 'unknown',
};
export const BACKOFF_FACTOR = { min: 1, max: 10 };

export const Backoff = z
  .looseObject({
    baseMs: z
      .int()
      .min(0)
      .max(TASK_TIMEOUT_MS_MAX)
      .default(TERMS_DEFAULT.backoff.baseMs)
      .describe('pause before the second attempt'),
    factor: z
      .number()
      .min(BACKOFF_FACTOR.min)
      .max(BACKOFF_FACTOR.max)
      .default(TERMS_DEFAULT.backoff.factor)
      .describe('growth from one pause to the next'),
    maxMs: z
      .int()
      .min(0)
      .max(TASK_TIMEOUT_MS_MAX)
      .default(TERMS_DEFAULT.backoff.maxMs)
      .describe('longest pause'),
  })
  .describe('Exponential backoff between attempts; the pause is drawn between half of it and all of it.');
export type Backoff = z.infer<typeof Backoff>;

/** How a task is to be run: shared by the queued message and the record. */
const terms = {
  description: z
    .string()
    .max(DESCRIPTION_LENGTH_MAX)
    .default(TERMS_DEFAULT.description)
    .describe('what is to be done, for people'),
  repo: z.string().max(REPO_LENGTH_MAX).optional().describe('repository that the task belongs to'),
  labels: z
    .record(z.string().max(LABEL_KEY_LENGTH_MAX), z.string().max(LABEL_VALUE_LENGTH_MAX))
    .refine(labels => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`)
    .default({})
    .describe('free key and value pairs'),
  timeoutMs: z
    .int()
    .min(1)
    .max(TASK_TIMEOUT_MS_MAX)
    .default(TERMS_DEFAULT.timeoutMs)
    .describe('longest run of one attempt'),
  stallTimeoutMs: z
    .int()
    .min(0)
    .max(TASK_TIMEOUT_MS_MAX)
    .default(TERMS_DEFAULT.stallTimeoutMs)
    .describe('longest silence (no output, no progress) of one attempt; 0 = no limit'),
  maxAttempts: z
    .int()
    .min(1)
    .max(ATTEMPTS_MAX)
    .default(TERMS_DEFAULT.maxAttempts)
    .describe('attempts before the task is a dead letter'),
  backoff: Backoff.prefault({}).describe('pause between attempts, see Backoff'),
  notBefore: timestamp().optional().describe('no attempt starts earlier'),
  createdBy: z
    .string()
    .max(CREATED_BY_LENGTH_MAX)
    .default(TERMS_DEFAULT.createdBy)
    .describe('who published it'),
  traceparent: z
    .string()
    .regex(TRACEPARENT, 'not a W3C traceparent')
    .optional()
    .describe('W3C trace context'),
};

export const TaskMessage = z
  .looseObject({
    ...terms,
    createdAt: timestamp().optional().describe('when it was published; absent = when the server stored it'),
    input: z
      .unknown()
      .optional()
      .describe('any value; a string reaches a command as it is, all else as JSON'),
  })
  .describe(
    'The payload on `tasks.<priority>.<lane>.<taskId>`. Id, priority and capabilities are in the subject alone.',
  );
export type TaskMessage = z.infer<typeof TaskMessage>;
/** A task message before its defaults are filled in. */
export type TaskMessageInput = z.input<typeof TaskMessage>;

export const TASK_STATES = [
  'queued',
  'claimed',
  'started',
  'blocked',
  'retrying',
  'done',
  'failed',
  'cancelled',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const TASK_EVENT_TYPES = [
  'queued',
  'claimed',
  'started',
  'blocked',
  'retrying',
  'released',
  'requeued',
  'unservable',
  'servable',
  'done',
  'failed',
  'cancelled',
] as const;
export type TaskEventType = (typeof TASK_EVENT_TYPES)[number];

export const REASONS = {
  error: 'the command exited with another code than 0 and 75, or the handler threw',
  timeout: 'the attempt ran longer than timeoutMs',
  stalled: 'the attempt was silent for longer than stallTimeoutMs',
  'lease-lost': 'the worker fell silent for longer than the lease',
  'result-too-large': 'the result is over 64 MiB',
  'result-invalid': 'the result cannot be written: it is no JSON, or the server refuses it',
  invalid: 'the message on the queue is not a valid task',
  'released-too-often': 'the task was given back more than 100 times',
  deferred: 'the attempt asked for a later try (exit code 75)',
  drain: 'the worker was drained before the attempt ended',
  surrendered: 'the agent gave the task back',
  unpublished: 'its publisher died before the queue had its message; publishing the id again completes it',
  'message-lost': 'its message vanished from the queue, and its input with it',
} as const;
export type Reason = keyof typeof REASONS;

export const ResultReference = z
  .looseObject({
    bucket: z.string().describe('object store bucket'),
    name: z.string().describe('object name'),
    bytes: z.int().describe('size'),
    digest: z.string().describe('`SHA-256=` and the base64url digest, as the object store states it'),
  })
  .describe('Where a result over 64 KiB lies.');
export type ResultReference = z.infer<typeof ResultReference>;

export const TaskRecord = z
  .looseObject({
    id: z.string().describe('task id'),
    state: z.enum(TASK_STATES).describe('see the state diagram'),
    priority: z.enum(PRIORITIES).describe('high before medium before low'),
    lane: z.string().describe('required capabilities joined by `+`, or `any`'),
    ...terms,
    createdAt: timestamp().describe('when it was published'),
    updatedAt: timestamp().describe('when this entry was written, by the writer’s clock'),
    attempt: z
      .int()
      .min(0)
      .default(0)
      .describe('attempts claimed so far; the current one while one is active'),
    forgiven: z
      .int()
      .min(0)
      .default(0)
      .describe(
        'attempts that do not count against maxAttempts: given back unharmed, or before an operator’s retry',
      ),
    released: z
      .int()
      .min(0)
      .default(0)
      .describe('attempts given back unharmed since the last operator’s retry'),
    node: z.string().optional().describe('who holds or held the last attempt'),
    queueSeq: z.int().optional().describe('stream sequence of the queue message that was claimed'),
    leaseMs: z.int().optional().describe('how long the attempt may stay silent'),
    claimedAt: timestamp().optional().describe('start of the last claim'),
    startedAt: timestamp()
      .optional()
      .describe('start of the last attempt where starting takes time of its own'),
    endedAt: timestamp().optional().describe('when the last attempt ended'),
    reason: z.string().optional().describe('why it is retrying, released, failed or cancelled, see Reasons'),
    error: z.string().optional().describe('why the attempt failed, at most 2,048 characters'),
    exitCode: z.int().optional().describe('exit code of the command'),
    question: z.string().optional().describe('what a blocked attempt waits for'),
    unservableSince: timestamp().optional().describe('since when no live node can serve its lane'),
    result: z.unknown().optional().describe('what the attempt returned, up to 64 KiB as JSON'),
    resultRef: ResultReference.optional().describe('where a larger result lies, see ResultReference'),
  })
  .describe('The state of one task after an entry, without its input.');
export type TaskRecord = z.infer<typeof TaskRecord>;

export const JournalEntry = z
  .looseObject({
    type: z.enum(TASK_EVENT_TYPES).describe('what happened, also a token of the subject'),
    at: timestamp().describe('when, by the writer’s clock'),
    actor: z.string().describe('who wrote it, also a token of the subject'),
    nonce: z.string().describe('makes the entry recognisable to its writer after a lost acknowledgement'),
    task: TaskRecord.describe('the whole record after the change'),
  })
  .describe('The payload on `journal.task.<id>.<type>.<actor>`, and so on `events.task.>`.');
export type JournalEntry = z.infer<typeof JournalEntry>;

export const OutputChunk = z
  .looseObject({
    at: timestamp().describe('when the first of the lines was read'),
    stream: z.enum(['stdout', 'stderr', 'log', 'progress']).describe('where the lines came from'),
    lines: z.array(z.string()).describe('whole lines, each at most 8,192 characters, longer ones cut'),
    dropped: z
      .int()
      .min(0)
      .default(0)
      .describe('lines left out just before these, because the rate was over its bound'),
  })
  .describe('The payload on `output.<taskId>.<attempt>.<actor>`.');
export type OutputChunk = z.infer<typeof OutputChunk>;

export const HoldsReply = z
  .looseObject({ holds: z.boolean().describe('whether the worker is at work on that task') })
  .describe('The reply on `node.<node>.holds.<taskId>`.');
export type HoldsReply = z.infer<typeof HoldsReply>;

export const isFinal = (state: TaskState): boolean =>
  state === 'done' || state === 'failed' || state === 'cancelled';
/** Neither running nor over: `queued` or `retrying`. */
export const isWaiting = (state: TaskState): boolean => !isFinal(state) && !isActive(state);
export const isActive = (state: TaskState): boolean =>
  state === 'claimed' || state === 'started' || state === 'blocked';
