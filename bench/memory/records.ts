// What memories are filled with and asked for: records of invented words, and questions that meet them. From a seed, so
// that the asking process knows what another one was filled with.
import { Words } from './words.ts';

/** A text of 20 to 79 words. */
export const contentOf = (words: Words): string => words.text(20 + words.below(60));

/** A record as a line of an export. */
export function recordLine(index: number, content: string): string {
  const at = new Date(Date.UTC(2026, 0, 1) + index * 1_000).toISOString();
  return JSON.stringify({ id: `m${index}`, content, createdAt: at, lastUsedAt: at, version: 1 });
}

/** Four words of one of the contents. */
export function questionAbout(words: Words, contents: readonly string[]): string {
  const text = (contents[words.below(contents.length)] ?? '').split(' ');
  return Array.from({ length: 4 }, () => text[words.below(text.length)]).join(' ');
}

/** So many contents from a seed. */
export function contentsOf(seed: number, count: number): string[] {
  const words = new Words(seed);
  return Array.from({ length: count }, () => contentOf(words));
}

/** So many questions about contents, from the same seed in every run. */
export function questionsAbout(contents: readonly string[], count: number): string[] {
  const words = new Words(0);
  return Array.from({ length: count }, () => questionAbout(words, contents));
}
