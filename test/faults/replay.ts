// Replays the journal of one task with the pure lifecycle, and compares what it gives with what was written: every entry
// must follow from the one before it, by an actor that may write it, and nothing follows a final one but a retry. Pure.
import { isActive, isFinal, type JournalEntry, type TaskRecord } from '../../src/protocol/index.ts';
import { apply, backoffMs, type Change } from '../../src/tasks/index.ts';
import { OPERATOR } from './fleet.ts';

/** An entry as it stands in the journal; type and actor are those of the subject. */
export interface Line {
  seq: number;
  id: string;
  type: string;
  actor: string;
  /** When the server stored it, in milliseconds since 1970. */
  storedAt: number;
  entry: JournalEntry;
}

/** One attempt as the journal has it. */
export interface ClaimedAttempt {
  attempt: number;
  node: string;
  claimedAt: number;
  /** What came after its own entries, and when; undefined where nothing did. */
  endedBy: { type: string; at: number; reason: string | undefined } | undefined;
  /** Whether it counts against the attempts that the task may have. */
  isCounted: boolean;
}

export interface Life {
  id: string;
  record: TaskRecord;
  attempts: ClaimedAttempt[];
  /** How often an operator brought it back. */
  retries: number;
  problems: string[];
}

/** Ends that only the holder of the attempt may write. */
const BY_HOLDER = new Set(['started', 'blocked', 'done', 'retrying', 'released']);
const FAILED_BY_HOLDER = new Set(['error', 'timeout', 'stalled']);
/** Timers of the server and of a worker may fire a little early. */
const EARLY_MS = 250;
/** Longer than any outage of a run. */
const WRITE_MS_MAX = 60_000;

/** The fields that a change brings along; all others must follow from the record before. */
const BROUGHT = [
  'node',
  'queueSeq',
  'leaseMs',
  'question',
  'result',
  'resultRef',
  'exitCode',
  'reason',
  'error',
  'notBefore',
] as const;
const COMPARED = [
  'id',
  'state',
  'attempt',
  'forgiven',
  'released',
  'node',
  'queueSeq',
  'priority',
  'lane',
] as const;

/** Replays the entries of one task, oldest first; there is at least one. */
export function replay(lines: readonly Line[]): Life {
  const first = lines[0];
  if (!first) throw new Error('a task without entries');
  const life: Life = { id: first.id, record: freshRecord(first), attempts: [], retries: 0, problems: [] };
  const queued = lines.filter(({ type }) => type === 'queued');
  if (queued.length > 1) life.problems.push(`${queued.length} entries "queued"`);
  let before: Line | undefined = queued[0];
  // On a replicated stream the first `queued` may be stored behind the claim; it decides nothing.
  for (const line of lines.filter(({ type }) => type !== 'queued')) {
    for (const problem of [...follow(life.record, before, line)])
      life.problems.push(`entry ${line.seq} (${line.type} by ${line.actor}): ${problem}`);
    note(life, line);
    life.record = line.entry.task;
    before = line;
  }
  return life;
}

// The record before the first entry that decides: from `queued`, or from the entry itself where there is no other.
function freshRecord({ entry }: Line): TaskRecord {
  return {
    ...entry.task,
    state: 'queued',
    attempt: 0,
    forgiven: 0,
    released: 0,
    node: undefined,
    queueSeq: undefined,
  };
}

function* follow(record: TaskRecord, before: Line | undefined, line: Line): Generator<string> {
  const { type, actor, entry } = line;
  if (entry.type !== type || entry.actor !== actor)
    yield `the subject and the entry (${entry.type} by ${entry.actor}) differ`;
  if (isFinal(record.state) && !isRetry(record, line)) yield `written after the end (${record.state})`;
  const next = apply(record, changeOf(entry), entry.at);
  if (!next) yield `cannot follow ${record.state}`;
  else
    for (const field of COMPARED)
      if (next[field] !== entry.task[field])
        yield `${field} is ${show(entry.task[field])} and should be ${show(next[field])}`;
  yield* byWhom(record, line);
  yield* whether(record, before, line);
}

const isRetry = (record: TaskRecord, { type, actor }: Line): boolean =>
  type === 'requeued' && record.state === 'failed' && (actor === OPERATOR || record.reason === 'unpublished');

function* byWhom(record: TaskRecord, { type, actor, entry }: Line): Generator<string> {
  const { reason, attempt, result, state } = entry.task;
  const isHolders = BY_HOLDER.has(type) || (type === 'failed' && FAILED_BY_HOLDER.has(reason ?? ''));
  if (isHolders && record.node !== actor)
    yield `attempt ${record.attempt} is held by ${record.node ?? 'nobody'}`;
  if (type === 'claimed' && entry.task.node !== actor) yield `claims for ${entry.task.node}`;
  if (state !== 'done' || typeof result !== 'object' || result === null) return;
  const { attempt: ran, node } = result as { attempt?: unknown; node?: unknown };
  if (ran !== attempt || node !== actor) yield `its result is of attempt ${show(ran)} by ${show(node)}`;
}

// Whether it was time: for the end of a task, and for another attempt.
function* whether(
  record: TaskRecord,
  before: Line | undefined,
  { type, storedAt, entry }: Line,
): Generator<string> {
  const { reason } = entry.task;
  if (type === 'failed' && FAILED_BY_HOLDER.has(reason ?? '') && used(entry.task) < entry.task.maxAttempts)
    yield `the end after ${used(entry.task)} of ${entry.task.maxAttempts} attempts`;
  if (type !== 'claimed' || !before) return;
  const dueAt = earliestAfter(before, record);
  if (storedAt < dueAt - EARLY_MS) yield `${Math.round(dueAt - storedAt)} ms before it is due`;
}

// The earliest time at which an attempt may follow an entry.
function earliestAfter({ type, storedAt, entry }: Line, record: TaskRecord): number {
  // The publisher's clock is that of the servers.
  if (type === 'queued' && record.notBefore !== undefined) return Date.parse(record.notBefore);
  const beganAt = Date.parse(entry.at);
  // An entry may be stored long after it was made, where a server was away. One that was made after it was stored, or
  // far too long before, was made by a clock that is off.
  const isTrue = beganAt <= storedAt && storedAt - beganAt < WRITE_MS_MAX;
  const from = isTrue ? beganAt : storedAt;
  if (type === 'retrying') return from + backoffMs(record.backoff, used(record), 0);
  if (type === 'released' && record.reason === 'deferred')
    return from + backoffMs(record.backoff, record.released, 0);
  return Number.NEGATIVE_INFINITY;
}

function note(life: Life, { type, actor, storedAt, entry }: Line): void {
  const last = life.attempts.at(-1);
  const { attempt, forgiven, reason, node = actor } = entry.task;
  if (last && !last.endedBy && type !== 'started' && type !== 'blocked') {
    last.endedBy = { type, at: storedAt, reason };
    last.isCounted = forgiven === life.record.forgiven && type !== 'cancelled';
  }
  if (type === 'claimed')
    life.attempts.push({ attempt, node, claimedAt: storedAt, endedBy: undefined, isCounted: false });
  if (type === 'requeued' && actor === OPERATOR) life.retries++;
}

function changeOf({ type, task }: JournalEntry): Change {
  const brought = BROUGHT.filter(field => task[field] !== undefined).map(field => [field, task[field]]);
  return { type, ...Object.fromEntries(brought) } as unknown as Change;
}

const used = ({ attempt, forgiven }: TaskRecord): number => attempt - forgiven;
const show = (value: unknown): string => JSON.stringify(value) ?? 'absent';

/** Whether a task neither ended nor waits. */
export const isAtWork = ({ state }: Pick<TaskRecord, 'state'>): boolean => isActive(state);

/** The entries of each task, in the order of the journal. */
export function byTask(lines: readonly Line[]): Map<string, Line[]> {
  const tasks = new Map<string, Line[]>();
  for (const line of lines) {
    const known = tasks.get(line.id);
    if (known) known.push(line);
    else tasks.set(line.id, [line]);
  }
  return tasks;
}
