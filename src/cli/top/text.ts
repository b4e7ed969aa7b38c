// Text from tasks and strangers, made fit to stand in a row.
import { stripVTControlCharacters } from 'node:util';
import { safe } from '../print.ts';

/** No terminal is wider, and a line of output may be long. */
const ROW_LENGTH_MAX = 1_000;

/** A line that was printed, with its indentation: nothing in it moves the cursor or turns the row around. */
export function printedLine(text: string): string {
  // What a progress bar has overwritten is not shown on a terminal either.
  const seen = text.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  return (
    safe(stripVTControlCharacters(seen.slice(0, 4 * ROW_LENGTH_MAX)).replaceAll('\t', '  '))
      // C1 control characters, line separators, and marks that change the direction of writing.
      .replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
      .slice(0, ROW_LENGTH_MAX)
  );
}

/** The same for text of many lines, as one. */
export const oneLine = (text: string): string =>
  printedLine(text.slice(0, 4 * ROW_LENGTH_MAX).replace(/\s+/g, ' ')).trim();
