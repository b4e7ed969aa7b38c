// What happened to one task and what it printed: as it is stored, and as it comes.
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
import { publishTask, type TaskSpec, taskIdOf } from './publish.ts';

/** Events are sent at most once: this often the journal is looked at in any case. */
const LOOK_AGAIN_MS = 2_000;
const FINAL_TYPES: ReadonlySet<string> = new Set(TASK_STATES.filter(isFinal));

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
 * The event of an end says when to look; the journal says what it is, also where an event was lost.
 */
export async function waitForTask(bus: Bus, taskId: string, signal: AbortSignal): Promise<TaskRecord> {
  const ear = new Ear(bus, taskId);
  try {
    return await untilEnd(bus, ear, signal, () => glance(bus, taskId));
  } finally {
    ear.close();
  }
}

/**
 * Publishes a task and waits for its end, with two requests fewer than one call after the other. Where the id is known
 * already, it is the end of the task that has it. Throws as both do.
 */
export async function publishAndWait(
  bus: Bus,
  spec: TaskSpec,
  actor: string,
  signal: AbortSignal,
): Promise<TaskRecord> {
  const id = taskIdOf(spec.id);
  const ear = new Ear(bus, id);
  try {
    const { created, state } = await publishTask(bus, { ...spec, id }, actor);
    const isNew = created && state === 'queued';
    // Of what was queued just now, an end is heard.
    return await untilEnd(bus, ear, signal, async () => (isNew ? undefined : glance(bus, id)));
  } finally {
    ear.close();
  }
}

/** Hears of a task's ends from the moment that it is made. */
class Ear {
  readonly taskId: string;
  readonly close: () => void;
  /** The journal sequence of an end that was heard of since it was last asked for; 0: it did not say. */
  #heard: number | undefined;
  #wake = () => {};

  constructor(bus: Bus, taskId: string) {
    this.taskId = taskId;
    this.close = bus.requests.subscribe(taskEvents(taskId), (subject, _bytes, { headers }) => {
      if (!FINAL_TYPES.has(parseEntrySubject(subject)?.type ?? '')) return;
      this.#heard = Number(headers?.get('Nats-Sequence') ?? 0);
      this.#wake();
    });
  }

  /** What was heard; waits for it, at most `timeoutMs` and not beyond the signal. */
  async listen(timeoutMs: number, signal: AbortSignal): Promise<number | undefined> {
    if (this.#heard === undefined && !signal.aborted) {
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
    const heard = this.#heard;
    this.#heard = undefined;
    return heard;
  }
}

async function untilEnd(
  bus: Bus,
  ear: Ear,
  signal: AbortSignal,
  look: () => Promise<TaskRecord | undefined>,
): Promise<TaskRecord> {
  for (;;) {
    const record = await look().catch(error => unlessAway(error, signal));
    if (record && isFinal(record.state)) return record;
    // An end that was heard during the look is looked at now.
    const seq = await ear.listen(LOOK_AGAIN_MS, signal);
    if (signal.aborted) throw endOfWait(ear.taskId, signal);
    look = () => (seq ? endAt(bus, ear.taskId, seq) : getTask(bus, ear.taskId));
  }
}

// One hop to a replica tells that a task goes on; that it is over, and that there is none, is the leader's to say.
async function glance(bus: Bus, taskId: string): Promise<TaskRecord | undefined> {
  const stored = await bus.streams.last(JOURNAL, historyFilter(taskId));
  const line = stored && tryReadEntry(stored);
  return line && !isFinal(line.task.state) ? undefined : getTask(bus, taskId);
}

// What any replica holds at a sequence was accepted, so that an end that stands there is one. That there is none yet, or
// something else, may mean that the replica lags or that the event was somebody's own.
async function endAt(bus: Bus, taskId: string, seq: number): Promise<TaskRecord> {
  const stored = await bus.streams.bySequence(JOURNAL, seq);
  const isOfTask = stored !== undefined && parseEntrySubject(stored.subject)?.id === taskId;
  const task = isOfTask ? tryReadEntry(stored)?.task : undefined;
  return task && isFinal(task.state) ? task : getTask(bus, taskId);
}

// A server that is away decides nothing; the wait has a time of its own.
function unlessAway(error: unknown, signal: AbortSignal): undefined {
  if (error instanceof OrchError && error.code === 'unavailable' && !signal.aborted) return undefined;
  throw error;
}

const endOfWait = (taskId: string, signal: AbortSignal): OrchError =>
  signal.reason instanceof OrchError
    ? signal.reason
    : new OrchError('timeout', `task ${taskId} has not ended in time`);

/** What a task has printed so far, from a stream sequence on. */
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
