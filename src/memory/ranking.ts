// Ranking that does not depend on which store a record lies in: the same corpus in one store or spread over many gives
// the same answer. One agent's recall and a question to a whole fleet take the same three steps:
//
//  1. Each store tells its statistics of the query's terms: readable records, words, records with the term. Plain
//     counts, so those of several stores add up to what one store of all records would tell.
//  2. Each store, given the sum, scores its records and hands back candidates: its best `windowOf(limit)` by words
//     (BM25) and its best `windowOf(limit)` by vectors.
//  3. Whoever asked fuses the candidates of all stores: the place in either list gives 1 / (60 + place), the sum is
//     weighted by importance, recency and pins, and the best `limit` are the answer.
//
// Why this is exact, and not nearly so:
//  - A score depends on the record and on the sum of step 1 alone, and is a whole number of millionths, so that no
//    order of additions changes it. Equal scores are ordered by record id, then agent. So "better by words" is one
//    total order over all records of all stores, and so is "better by vectors".
//  - A list counts only down to place `windowOf(limit)`; below that, it gives a record nothing. A record among the best
//    W of all stores is among the best W of its own, for whoever is before it there is before it everywhere. So each
//    store's candidates contain all that it has in the first W places of either list over all stores.
//  - A record that is in the first W by words but not by vectors is missing nothing: its place by vectors is behind W in
//    its own store and so over all, and gives nothing.
//  - The weights use the record's own fields and one clock, the asker's.
// The same argument lets a node merge the candidates of its agents before it answers (`mergeCandidates`): cutting twice
// to the first W is cutting once. An answer is thus at most 2 W candidates without contents, some 250 bytes each and 500
// at most: 200 of them are 100 KB, within the bound of 256 KiB that a node's answer has, whatever the number of agents
// and records. Vectors of different models cannot be compared; each model is a list of its own, and one list more. Contents are read last (step 4),
// from the owners of the `limit` best alone.
import type { Candidate, CorpusStatistics, Method } from '../protocol/index.ts';

/** Scores are whole numbers of this part, so that sums of them are exact. */
export const SCORE_UNIT = 1_000_000;

/** BM25's saturation of a term's count, and its share of length normalisation: the usual values. */
export const K1 = 1.2;
export const B = 0.75;

/** The usual constant of reciprocal rank fusion: how gently the first places differ. */
const RANK_OFFSET = 60;
/** Places of each list that count at least: a record that both lists have at 40 should beat one that one has at 20. */
const WINDOW_MIN = 50;

const DAY_MS = 86_400_000;
const HALF_LIFE_DAYS = 30;

/** How many places of each list count, and so how many candidates a store hands back of each. */
export const windowOf = (limit: number): number => Math.max(WINDOW_MIN, limit);

/** Statistics of all stores together. */
export function addStatistics(parts: readonly CorpusStatistics[]): CorpusStatistics {
  const frequencies = new Map<string, number>();
  for (const part of parts)
    for (const [term, count] of Object.entries(part.frequencies))
      frequencies.set(term, (frequencies.get(term) ?? 0) + count);
  return {
    documents: sum(parts.map(part => part.documents)),
    length: sum(parts.map(part => part.length)),
    frequencies: Object.fromEntries(frequencies),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** What a term is worth: much where few records have it, never less than nothing. */
export function termWeight({ documents, frequencies }: CorpusStatistics, term: string): number {
  // A term may be called as something that every object has.
  const frequency = Object.hasOwn(frequencies, term) ? Math.min(frequencies[term] ?? 0, documents) : 0;
  return Math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5));
}

/** The mean length of a record, in terms. */
export const meanLength = ({ documents, length }: CorpusStatistics): number =>
  documents === 0 || length === 0 ? 1 : length / documents;

/** The candidates of several stores as if of one: those within the first places of either list. */
export function mergeCandidates(candidates: readonly Candidate[], limit: number): Candidate[] {
  const places = placesOf(candidates, limit);
  return candidates.filter(candidate => places.has(candidate));
}

export interface Fused {
  candidate: Candidate;
  score: number;
}

/** The best `limit` of all candidates, best first. `now` is the asker's clock, in milliseconds. */
export function fuse(
  candidates: readonly Candidate[],
  { limit, now }: { limit: number; now: number },
): { best: Fused[]; method: Method } {
  const places = placesOf(candidates, limit);
  const best = [...places]
    .map(([candidate, own]) => ({
      candidate,
      score: sum(own.map(place => 1 / (RANK_OFFSET + place))) * weightOf(candidate, now),
    }))
    .sort((a, b) => b.score - a.score || byIdentity(a.candidate, b.candidate))
    .slice(0, limit);
  const method = candidates.some(({ vectorScore }) => vectorScore !== undefined) ? 'hybrid' : 'keyword';
  return { best, method };
}

// Importance moves a record by up to 15 % either way, a pin by 15 %, recent use by 10 %: some places, never the page.
function weightOf({ importance, pinned, lastUsedAt }: Candidate, now: number): number {
  const ageDays = Math.max(0, now - Date.parse(lastUsedAt)) / DAY_MS;
  return (0.85 + 0.3 * importance) * (pinned ? 1.15 : 1) * (1 + 0.1 * 2 ** (-ageDays / HALF_LIFE_DAYS));
}

// The places of each candidate in the lists that count it, by words first, so that sums are always taken in one order.
function placesOf(candidates: readonly Candidate[], limit: number): Map<Candidate, number[]> {
  const places = new Map<Candidate, number[]>();
  const count = (list: readonly Candidate[], scoreOf: (candidate: Candidate) => number) => {
    const ordered = [...list].sort((a, b) => scoreOf(b) - scoreOf(a) || byIdentity(a, b));
    for (const [index, candidate] of ordered.slice(0, windowOf(limit)).entries())
      places.set(candidate, [...(places.get(candidate) ?? []), index + 1]);
  };
  count(
    candidates.filter(({ keywordScore }) => keywordScore !== undefined),
    ({ keywordScore = 0 }) => keywordScore,
  );
  const withVector = candidates.filter(({ vectorScore }) => vectorScore !== undefined);
  for (const model of new Set(withVector.map(candidate => candidate.model)))
    count(
      withVector.filter(candidate => candidate.model === model),
      ({ vectorScore = 0 }) => vectorScore,
    );
  return places;
}

// By code units, as every platform orders them.
const byIdentity = (a: Candidate, b: Candidate): number => compare(a.id, b.id) || compare(a.agent, b.agent);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
