// What a run prints: a line as each thing happens, a summary at the end, and of each violation the journal of its task.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS, check, outcomes, type Violation } from './checks.ts';
import { byTask, type Line } from './replay.ts';
import type { RunResult } from './run.ts';

/** Of each check so many violations are printed; the file has all. */
const SHOWN_MAX = 10;

export interface Verdict {
  violations: Violation[];
  summary: Record<string, unknown>;
}

/** Judges a run. */
export function judge(result: RunResult, settings: Record<string, unknown>): Verdict {
  const { facts, faults } = result;
  const violations = check(facts);
  const done = faults.filter(({ skipped }) => skipped === undefined);
  const summary = {
    ...settings,
    tasks: {
      planned: facts.planned.length,
      acknowledged: facts.acknowledged.size,
      ...outcomes(facts),
      begun: [...facts.ran.values()].reduce((sum, lines) => sum + lines.length, 0),
      cancelled_by_operator: facts.cancelled.size,
      retried_by_operator: [...facts.retried.values()].reduce((sum, times) => sum + times, 0),
    },
    journal_entries: facts.lines.length,
    faults: countBy(done.map(({ fault }) => fault.kind)),
    skipped: faults.length - done.length,
    stops: {
      count: facts.stops.length,
      longest_ms: Math.max(0, ...facts.stops.map(({ tookMs }) => tookMs)),
      over_bound: facts.stops.filter(({ tookMs, boundMs }) => tookMs > boundMs).length,
    },
    publishers_restarted: result.publisherEnds,
    took_s: Math.round(result.tookMs / 1_000),
    violations: countBy(violations.map(violation => violation.check)),
  };
  return { violations, summary };
}

/** The summary as a table, then what was violated. */
export function printVerdict({ violations, summary }: Verdict, lines: readonly Line[]): void {
  for (const [key, value] of Object.entries(summary))
    process.stdout.write(`${key.padEnd(22)} ${text(value)}\n`);
  const tasks = byTask(lines);
  const shown = new Map<string, number>();
  for (const { check: name, task, detail } of violations) {
    const count = (shown.get(name) ?? 0) + 1;
    shown.set(name, count);
    if (count > SHOWN_MAX) continue;
    process.stdout.write(`\nVIOLATED: ${name}: ${task === undefined ? '' : `${task}: `}${detail}\n`);
    for (const line of tasks.get(task ?? '') ?? []) process.stdout.write(`    ${entryText(line)}\n`);
  }
}

/** Writes all violations, each with the journal of its task, into the folder of logs. */
export function writeViolations(folder: string, { violations }: Verdict, lines: readonly Line[]): void {
  const tasks = byTask(lines);
  const all = violations.map(violation => ({
    ...violation,
    journal: (tasks.get(violation.task ?? '') ?? []).map(entryText),
  }));
  writeFileSync(join(folder, 'violations.json'), JSON.stringify(all, null, 2));
}

/** The last line of a run: `15 passed, 0 failed in 190.2 s`, each check counted once. */
export function closingLine({ violations }: Verdict, tookMs: number): string {
  const failed = new Set(violations.map(({ check }) => check)).size;
  return `${CHECKS.length - failed} passed, ${failed} failed in ${(tookMs / 1_000).toFixed(1)} s`;
}

function entryText({ seq, type, actor, storedAt, entry }: Line): string {
  const { attempt, forgiven, maxAttempts, reason, error, notBefore, queueSeq, node } = entry.task;
  const more = { attempt, forgiven, maxAttempts, queueSeq, node, reason, error, notBefore, at: entry.at };
  const shown = Object.entries(more).filter(([, value]) => value !== undefined);
  const fields = shown.map(([key, value]) => `${key}=${String(value).slice(0, 80)}`).join(' ');
  return `${seq} ${new Date(storedAt).toISOString()} ${type} by ${actor}: ${fields}`;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function text(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([key, count]) => `${key} ${count}`);
  return entries.length === 0 ? 'none' : entries.join(', ');
}
