// Text to terms: what is indexed and what a query asks for. Runs of letters and digits, lower case, without accents;
// scripts that are written without spaces are cut into overlapping pairs. Every node must cut alike, or ranks would
// depend on where a record lies; so nothing here asks the locale, or a dictionary of the platform.
// Only terms ever reach the database, as bound values: a query has no syntax there.
import { QUERY_TERMS_MAX } from '../protocol/index.ts';

/** A longer run is a key or a picture in letters, not a word; it is cut. */
const TERM_LENGTH_MAX = 64;

const RUN = /[\p{L}\p{N}\p{M}]+/gu;
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu;

/** All terms of a text in their order, with repeats. */
export function termsOf(text: string): string[] {
  const folded = text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .normalize('NFC');
  return (folded.match(RUN) ?? []).flatMap(cut);
}

function cut(run: string): string[] {
  const parts: string[] = [];
  let end = 0;
  for (const match of run.matchAll(UNSPACED)) {
    if (match.index > end) parts.push(shortened(run.slice(end, match.index)));
    parts.push(...pairs(match[0]));
    end = match.index + match[0].length;
  }
  if (end < run.length) parts.push(shortened(run.slice(end)));
  return parts;
}

// By characters: half of a surrogate pair is nothing that the database can keep.
const shortened = (run: string): string =>
  run.length <= TERM_LENGTH_MAX ? run : [...run].slice(0, TERM_LENGTH_MAX).join('');

function pairs(run: string): string[] {
  const letters = [...run];
  if (letters.length < 2) return letters;
  return letters.slice(1).map((letter, i) => `${letters[i]}${letter}`);
}

/** What a query asks for. */
export interface Question {
  /** Terms that give a score; one that ends in `*` stands for all that begin so. */
  terms: string[];
  /** Whether all terms must be there, or one is enough. */
  all: boolean;
  /** Sequences of terms that must be there. */
  phrases: string[][];
  excluded: string[];
}

/** Reads a query as recall does: a bag of words, of which any may match. */
export const questionOf = (query: string): Question => ({
  terms: distinct(termsOf(query)),
  all: false,
  phrases: [],
  excluded: [],
});

const CLAUSE = /(-?)(?:"([^"]*)"?|([^\s"]+))/g;

/**
 * Reads a query as search does: all of the words, `"phrases"` and `prefixes*`, none of the `-excluded`. Whatever else
 * stands there (brackets, colons, operators) only separates words; no query is invalid.
 */
export function searchQuestionOf(query: string): Question {
  const terms: string[] = [];
  const phrases: string[][] = [];
  const excluded: string[] = [];
  for (const [, minus, quoted, bare = ''] of query.matchAll(CLAUSE)) {
    const words = termsOf(quoted ?? bare);
    if (words.length === 0) continue;
    if (quoted === undefined && bare.endsWith('*')) words.push(`${words.pop()}*`);
    if (minus) {
      excluded.push(...words);
      continue;
    }
    terms.push(...words);
    // `foo-bar` and pairs of letters are written together, so they are to be found together.
    if (words.length > 1 && !words.at(-1)?.endsWith('*')) phrases.push(words);
  }
  return {
    terms: distinct(terms),
    all: true,
    phrases: phrases.slice(0, QUERY_TERMS_MAX),
    excluded: distinct(excluded),
  };
}

const distinct = (terms: readonly string[]): string[] => [...new Set(terms)].slice(0, QUERY_TERMS_MAX);

/** The range of stored terms that a query's term stands for, both ends included. */
export function rangeOf(term: string): [from: string, to: string] {
  if (!term.endsWith('*')) return [term, term];
  const prefix = term.slice(0, -1);
  return [prefix, `${prefix}\u{10FFFF}`];
}
