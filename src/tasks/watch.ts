// What happened to one task and what it printed: as it is stored, and as it comes.
import { setTimeout as sleep } from 'node:timers/promises';
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
  type TaskRecord,
} from '../protocol/index.ts';
import { unclaimedRecord } from './cancel.ts';
import { type JournalLine, lastEntry, tryReadEntry } from './journal.ts';

/** A replica is behind by milliseconds; after a second it is ill, and what it has is shown. */
const HISTORY_TRIES_MAX = 20;
const HISTORY_PAUSE_MS = 50;

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

/** All entries about a task, oldest first, up to the last one at the time of the call. */
export async function taskHistory(bus: Bus, taskId: string): Promise<JournalLine[]> {
  const last = await bus.last(JOURNAL, historyFilter(taskId), 'leader');
  for (let tries = 0; ; tries++) {
    const lines = await storedHistory(bus, taskId);
    // A replica that lags shows the beginning only.
    if ((lines.at(-1)?.seq ?? 0) >= (last?.seq ?? 0) || tries === HISTORY_TRIES_MAX) return lines;
    await sleep(HISTORY_PAUSE_MS);
  }
}

async function storedHistory(bus: Bus, taskId: string): Promise<JournalLine[]> {
  const lines: JournalLine[] = [];
  for await (const stored of bus.range(JOURNAL, { filter: historyFilter(taskId) })) {
    const line = tryReadEntry(stored);
    if (line) lines.push(line);
  }
  return lines;
}

/** Yields the entries about a task, those that are stored and those to come, up to its final one. */
export async function* followTask(
  bus: Bus,
  taskId: string,
  signal: AbortSignal,
): AsyncGenerator<JournalLine> {
  for await (const stored of bus.tail(JOURNAL, { filter: historyFilter(taskId), start: 'all', signal })) {
    const line = tryReadEntry(stored);
    if (!line) continue;
    yield line;
    if (isFinal(line.task.state) && (await lastEntry(bus, taskId, 'leader'))?.seq === line.seq) return;
  }
}

/** Waits for a task's end. Throws `timeout`, `interrupted` with the signal's reason, or `not_found`. */
export async function waitForTask(bus: Bus, taskId: string, signal: AbortSignal): Promise<TaskRecord> {
  await getTask(bus, taskId);
  for await (const line of followTask(bus, taskId, signal)) if (isFinal(line.task.state)) return line.task;
  throw signal.reason instanceof OrchError
    ? signal.reason
    : new OrchError('timeout', `task ${taskId} has not ended in time`);
}

/** What a task has printed so far. */
export async function* taskOutput(bus: Bus, taskId: string): AsyncGenerator<OutputLine> {
  for await (const stored of bus.range(OUTPUT, { filter: outputFilter(taskId) })) {
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
  for await (const stored of bus.tail(OUTPUT, { filter: outputFilter(taskId), start: 'all', signal })) {
    const line = readOutput(stored);
    if (line) yield line;
  }
}

function readOutput(stored: { subject: string; seq: number; bytes: Uint8Array }): OutputLine | undefined {
  const [, , attempt = '', node = ''] = stored.subject.split('.');
  try {
    return { ...OutputChunk.parse(decode(stored.bytes)), seq: stored.seq, attempt: Number(attempt), node };
  } catch {
    return undefined;
  }
}
