// Makes text from tasks and other clients safe and short enough for one row.
import { stripVTControlCharacters } from 'node:util';
import { safe } from '../print.ts';

/** Wider than any terminal; a line of output can be longer. */
const ROW_LENGTH_MAX = 1_000;

/** A printed line with its indentation, without anything that moves the cursor or changes the direction of text. */
export function printedLine(text: string): string {
  // A terminal does not show what a progress bar has overwritten either.
  const seen = text.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  return (
    safe(stripVTControlCharacters(seen.slice(0, 4 * ROW_LENGTH_MAX)).replaceAll('\t', '  '))
      // C1 control characters, line separators, and marks that change the direction of writing.
      .replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
      .slice(0, ROW_LENGTH_MAX)
  );
}

/** The same for text of many lines, joined into one. */
export const oneLine = (text: string): string =>
  printedLine(text.slice(0, 4 * ROW_LENGTH_MAX).replace(/\s+/g, ' ')).trim();
