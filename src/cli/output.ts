// What a task printed, on the stream that it was meant for: what it says of itself (`progress`) is no output of its own.
import type { OutputLine } from '../tasks/index.ts';
import { colors, safe } from './print.ts';

/** Prints a chunk for people. */
export function printChunk({ stream, lines, dropped }: OutputLine): void {
  const to = stream === 'stdout' || stream === 'log' ? process.stdout : process.stderr;
  if (dropped > 0) process.stderr.write(colors.yellow(`... ${dropped} lines left out\n`));
  for (const line of lines) to.write(`${safe(line)}\n`);
}
