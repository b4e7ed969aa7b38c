// What happened to one task and what it printed: as stored, and as it arrives.
import type { Bus } from '../bus/index.ts';
import {
  decode,
  historyFilter,
  isFinal,
  JOURNAL,
  OrchError,
  OUTPUT,
  OutputChunk,
  outputFilter,
  parseEntrySubject,
  parseOutputSubject,
  TASK_STATES,
  type TaskRecord,
  taskEvents,
} from '../protocol/index.ts';
import { unclaimedRecord } from './cancel.ts';
import { type JournalLine, lastEntry, taskJournal, tryReadEntry } from './journal.ts';
import { publishAs, type TaskSpec, taskIdOf } from './publish.ts';

/** Events are delivered at most once, so the journal is read this often in any case. */
const LOOK_AGAIN_MS = 2_000;
const FINAL_TYPES: ReadonlySet<string> = new Set(TASK_STATES.filter(isFinal));

/** A chunk of a task's output as it is stored. */
export interface OutputLine extends OutputChunk {
  seq: number;
  attempt: number;
  node: string;
}

/** The record of a task. Throws `not_found`. */
export async function getTask(bus: Bus, taskId: string): Promise<TaskRecord> {
  const record = (await lastEntry(bus, taskId, 'leader'))?.task ?? (await unclaimedRecord(bus, taskId));
  if (!record) throw new OrchError('not_found', `no task ${taskId}`, { advice: '`orch tasks` lists them' });
  return record;
}

/** All entries about a task, oldest first, up to the last one at the time of the call. Throws `unavailable`. */
export const taskHistory = (bus: Bus, taskId: string): Promise<JournalLine[]> =>
  taskJournal.history(bus, taskId);

/** Yields the entries about a task, those that are stored and those to come, up to its final one. */
export async function* followTask(
  bus: Bus,
  taskId: string,
  signal: AbortSignal,
): AsyncGenerator<JournalLine> {
  for await (const line of taskJournal.follow(bus, { filter: historyFilter(taskId), signal })) {
    yield line;
    if (isFinal(line.task.state) && (await lastEntry(bus, taskId, 'leader'))?.seq === line.seq) return;
  }
}

/**
 * Waits for a task's end. Throws `timeout`, `interrupted` with the signal's reason, or `not_found`.
 * The event of an end triggers a read of the journal, which decides; a lost event only delays it.
 */
export async function waitForTask(bus: Bus, taskId: string, signal: AbortSignal): Promise<TaskRecord> {
  const listener = new EndListener(bus, taskId);
  try {
    return await untilEnd(bus, listener, signal, () => glance(bus, taskId));
  } finally {
    listener.close();
  }
}

/**
 * Publishes a task and waits for its end, with two requests fewer than one call after the other. Where the id is known
 * already, it returns the end of that task. Throws what both throw.
 */
export async function publishAndWait(
  bus: Bus,
  spec: TaskSpec,
  actor: string,
  signal: AbortSignal,
): Promise<TaskRecord> {
  const id = taskIdOf(spec.id);
  const listener = new EndListener(bus, id);
  try {
    const { created, state } = await publishAs(bus, { ...spec, id }, actor, spec.id === undefined);
    const isNew = created && state === 'queued';
    // The end of a task that was queued just now cannot have been missed.
    return await untilEnd(bus, listener, signal, async () => (isNew ? undefined : glance(bus, id)));
  } finally {
    listener.close();
  }
}

/** Receives the events of a task's end from its construction on. */
class EndListener {
  readonly taskId: string;
  readonly close: () => void;
  /** The journal sequence of an end received since the last `next`; 0 where the event has none. */
  #received: number | undefined;
  #wake = () => {};

  constructor(bus: Bus, taskId: string) {
    this.taskId = taskId;
    this.close = bus.requests.subscribe(taskEvents(taskId), (subject, _bytes, { headers }) => {
      if (!FINAL_TYPES.has(parseEntrySubject(subject)?.type ?? '')) return;
      this.#received = Number(headers?.get('Nats-Sequence') ?? 0);
      this.#wake();
    });
  }

  /** The sequence of the next end; undefined after `timeoutMs`, or when the signal aborts. */
  async next(timeoutMs: number, signal: AbortSignal): Promise<number | undefined> {
    if (this.#received === undefined && !signal.aborted) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', this.#wake, { once: true });
      });
      signal.removeEventListener('abort', this.#wake);
    }
    const received = this.#received;
    this.#received = undefined;
    return received;
  }
}

async function untilEnd(
  bus: Bus,
  listener: EndListener,
  signal: AbortSignal,
  look: () => Promise<TaskRecord | undefined>,
): Promise<TaskRecord> {
  for (;;) {
    const record = await look().catch(error => unlessAway(error, signal));
    if (record && isFinal(record.state)) return record;
    // An end received during the read is read now.
    const seq = await listener.next(LOOK_AGAIN_MS, signal);
    if (signal.aborted) throw endOfWait(listener.taskId, signal);
    look = () => (seq ? endAt(bus, listener.taskId, seq) : getTask(bus, listener.taskId));
  }
}

// One hop to a replica shows that a task is still open; that it is over, or does not exist, is read from the leader.
async function glance(bus: Bus, taskId: string): Promise<TaskRecord | undefined> {
  const stored = await bus.streams.last(JOURNAL, historyFilter(taskId));
  const line = stored && tryReadEntry(stored);
  return line && !isFinal(line.task.state) ? undefined : getTask(bus, taskId);
}

// What any replica holds at a sequence was accepted, so an end that is stored there is one. None yet, or something else,
// may mean that the replica lags, or that another client made up the event.
async function endAt(bus: Bus, taskId: string, seq: number): Promise<TaskRecord> {
  const stored = await bus.streams.bySequence(JOURNAL, seq);
  const isOfTask = stored !== undefined && parseEntrySubject(stored.subject)?.id === taskId;
  const task = isOfTask ? tryReadEntry(stored)?.task : undefined;
  return task && isFinal(task.state) ? task : getTask(bus, taskId);
}

// An unreachable server decides nothing; the wait has its own time limit.
function unlessAway(error: unknown, signal: AbortSignal): undefined {
  if (error instanceof OrchError && error.code === 'unavailable' && !signal.aborted) return undefined;
  throw error;
}

const endOfWait = (taskId: string, signal: AbortSignal): OrchError =>
  signal.reason instanceof OrchError
    ? signal.reason
    : new OrchError('timeout', `task ${taskId} has not ended in time`);

/** What a task has printed so far, from a stream sequence on. Throws `unavailable`. */
export async function* taskOutput(bus: Bus, taskId: string, from = 1): AsyncGenerator<OutputLine> {
  for await (const stored of bus.streams.range(OUTPUT, { filter: outputFilter(taskId), from })) {
    const line = readOutput(stored);
    if (line) yield line;
  }
}

/** What a task has printed and prints, until the signal aborts. */
export async function* followOutput(
  bus: Bus,
  taskId: string,
  signal: AbortSignal,
): AsyncGenerator<OutputLine> {
  for await (const stored of bus.streams.tail(OUTPUT, {
    filter: outputFilter(taskId),
    start: 'all',
    signal,
  })) {
    const line = readOutput(stored);
    if (line) yield line;
  }
}

/**
 * What a task prints from its beginning to its end, or until the signal aborts. `ended` settles when it is over: its
 * output was stored before its end was, so what is stored then is all of it.
 */
export async function* outputToEnd(
  bus: Bus,
  taskId: string,
  ended: Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<OutputLine> {
  const over = new AbortController();
  const end = () => over.abort();
  ended.then(end, end);
  let next = 1;
  for await (const chunk of followOutput(bus, taskId, AbortSignal.any([over.signal, signal]))) {
    next = chunk.seq + 1;
    yield chunk;
  }
  if (!signal.aborted) yield* taskOutput(bus, taskId, next);
}

function readOutput(stored: { subject: string; seq: number; bytes: Uint8Array }): OutputLine | undefined {
  const { attempt, actor } = parseOutputSubject(stored.subject);
  try {
    return { ...OutputChunk.parse(decode(stored.bytes)), seq: stored.seq, attempt, node: actor };
  } catch {
    return undefined;
  }
}
