// Prints the output of a task: its stdout and log lines to stdout, its stderr and progress to stderr.
import type { OutputLine } from '../tasks/index.ts';
import { colors, safe } from './print.ts';

/** Prints one chunk of output. */
export function printChunk({ stream, lines, dropped }: OutputLine): void {
  const to = stream === 'stdout' || stream === 'log' ? process.stdout : process.stderr;
  if (dropped > 0) process.stderr.write(colors.yellow(`... ${dropped} lines omitted\n`));
  for (const line of lines) to.write(`${safe(line)}\n`);
}
