// Fitting an answer into its bound. The best come first and whole; what no longer fits is cut and says so, or is left
// out and counted.
import { MEMORY_ANSWER_BYTES_MAX, type MemoryItem } from '../protocol/index.ts';

/** For what surrounds the items. */
const ENVELOPE_BYTES = 8 * 1024;
/** A beginning that is shorter says nothing. */
const CUT_LENGTH_MIN = 80;

/** As many items as the bound has room for. */
export function fitted(
  items: readonly MemoryItem[],
  bytesMax = MEMORY_ANSWER_BYTES_MAX,
): { items: MemoryItem[]; omitted: number } {
  const fitting: MemoryItem[] = [];
  let room = bytesMax - ENVELOPE_BYTES;
  for (const item of items) {
    const shown = bytesOf(item) <= room ? item : cut(item, room);
    if (!shown) continue;
    room -= bytesOf(shown) + 1;
    fitting.push(shown);
  }
  return { items: fitting, omitted: items.length - fitting.length };
}

function cut(item: MemoryItem, room: number): MemoryItem | undefined {
  for (let length = item.content.length >> 1; length >= CUT_LENGTH_MIN; length >>= 1) {
    const shown = { ...item, content: beginning(item.content, length), truncated: true };
    if (bytesOf(shown) <= room) return shown;
  }
  return undefined;
}

/** The first characters of a text, not half of one. */
export const beginning = (text: string, length: number): string =>
  text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');

const bytesOf = (item: MemoryItem): number => Buffer.byteLength(JSON.stringify(item));
