// Output: tables and colour on a terminal, plain text elsewhere, JSON on request.
import picocolors from 'picocolors';
import { env } from '../config/index.ts';
import { formatDuration, type TaskState } from '../protocol/index.ts';

export const isTerminal = (): boolean => process.stdout.isTTY === true;

/** Colour on a terminal, unless NO_COLOR is set (https://no-color.org). */
export const hasColor = isTerminal() && env('NO_COLOR') === undefined && env('TERM') !== 'dumb';
export const colors = picocolors.createColors(hasColor);

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  // Indented for people, one line for programs.
  printLine(JSON.stringify(value, null, isTerminal() ? 2 : 0));
}

/** Prints columns as wide as their content, cut to the terminal's width. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of tableLines(header, rows)) printLine(line);
}

/** The lines that `printTable` prints. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map(row => visible(row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) =>
        i === cells.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - visible(cell).length),
      )
      .join('  ');
  return [colors.bold(cutToWidth(line(header))), ...rows.map(row => cutToWidth(line(row)))];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
const ESCAPES = /(\u001b\[[0-9;]*m)/g;
const visible = (text: string): string => text.replace(ESCAPES, '');

function cutToWidth(text: string): string {
  const width = process.stdout.columns ?? 0;
  if (!isTerminal() || width === 0 || visible(text).length <= width) return text;
  let seen = 0;
  let cut = '';
  for (const part of text.split(ESCAPES)) {
    if (part.startsWith('\u001b')) cut += part;
    else {
      cut += part.slice(0, Math.max(0, width - 1 - seen));
      seen += part.length;
    }
  }
  return `${cut}…`;
}

const STATE_COLORS: Record<TaskState, (text: string) => string> = {
  queued: colors.cyan,
  claimed: colors.blue,
  started: colors.blue,
  blocked: colors.magenta,
  retrying: colors.yellow,
  done: colors.green,
  failed: colors.red,
  cancelled: colors.gray,
};

export const stateText = (state: TaskState): string => STATE_COLORS[state](state);

/** The limits of a task's attempts, for people. */
export function limitsText({
  timeoutMs,
  stallTimeoutMs,
}: {
  timeoutMs: number;
  stallTimeoutMs: number;
}): string {
  const stall = stallTimeoutMs > 0 ? `, ${formatDuration(stallTimeoutMs)} without output` : '';
  return `${formatDuration(timeoutMs)} per attempt${stall}`;
}

/** The time since then, short: `3s`, `5m`, `2h`, `4d`. */
export function age(iso: string | undefined, now = Date.now()): string {
  if (iso === undefined) return '-';
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1_000));
  if (seconds < 90) return `${seconds}s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)}m`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from a task or a stranger: neither control characters nor marks of direction can move the reader's cursor. */
export const safe = (text: string): string => text.replace(UNSAFE, '');
