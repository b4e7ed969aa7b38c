// Ranking by words: BM25 over the postings of one store with the statistics of all, and only over records at or above
// the asker's floor. The scores are those that the ranking's argument needs: whole, and of the record alone.
//
// Frequent words are worth little and cost most, so they are looked up and not gone through where that cannot change the
// outcome (the idea of MaxScore): records are taken from the rarest terms first; once the place that is the last to
// count is worth more than all remaining terms together could give, a record without one of the rare terms cannot reach
// it, and of the others only those are looked up that still can.
import type { CorpusStatistics, MemoryFilter } from '../protocol/index.ts';
import {
  type Connection,
  every,
  NOTHING,
  numberOf,
  type Row,
  type Sql,
  sql,
  textOf,
} from './database/index.ts';
import { B, K1, meanLength, SCORE_UNIT, termWeight, windowOf } from './ranking.ts';
import { filterOf } from './records.ts';
import { type Question, rangeOf } from './terms.ts';
import { SCOPE, type Scope } from './visibility.ts';

/** What an empty store knows of the terms. */
export const noStatistics = ({ terms }: Pick<Question, 'terms'>): CorpusStatistics => ({
  documents: 0,
  length: 0,
  frequencies: Object.fromEntries(terms.map(term => [term, 0])),
});

/** What this store knows of the terms, counting only what may be read. */
export async function storeStatistics(
  connection: Connection,
  { terms }: Question,
  floor: Scope,
): Promise<CorpusStatistics> {
  const [totals] = await connection.all(
    sql`SELECT sum(records) AS documents, sum(length) AS length FROM totals WHERE scope >= ${floor}`,
  );
  const words = await connection.all(sql`
    SELECT j.value AS term, t.records
    FROM json_each(${JSON.stringify(terms.filter(term => !term.endsWith('*')))}) j
    CROSS JOIN terms t ON t.scope IN ${readable(floor)} AND t.text = j.value`);
  const { frequencies } = noStatistics({ terms });
  for (const row of words) {
    const term = textOf(row, 'term');
    frequencies[term] = (frequencies[term] ?? 0) + numberOf(row, 'records');
  }
  for (const term of terms.filter(term => term.endsWith('*'))) {
    const [from, to] = rangeOf(term);
    const [row] = await connection.all(sql`
      SELECT count(DISTINCT p.record) AS records
      FROM terms t CROSS JOIN postings p ON p.term = t.term
      WHERE t.scope IN ${readable(floor)} AND t.text BETWEEN ${from} AND ${to}`);
    frequencies[term] = numberOf(row, 'records');
  }
  return {
    documents: numberOf(totals, 'documents'),
    length: numberOf(totals, 'length'),
    frequencies,
  };
}

interface Options {
  /** Those of all stores. */
  statistics: CorpusStatistics;
  floor: Scope;
  filter: MemoryFilter;
  limit: number;
}

export interface KeywordHit {
  row: Row;
  keywordScore: number;
}

interface Weighted {
  range: [from: string, to: string];
  /** What it gives a record in which it stands without end, in units of a score. */
  most: number;
  /** Records of this store that it brings. */
  frequency: number;
}

/** The best of this store by words: rows of `records` with their scores. */
export async function keywordHits(
  connection: Connection,
  question: Question,
  options: Options,
): Promise<KeywordHit[]> {
  const { statistics, floor } = options;
  const own = await storeStatistics(connection, question, floor);
  const weighted = question.terms
    .map((term): Weighted => {
      const most = Math.round(termWeight(statistics, term) * (K1 + 1) * SCORE_UNIT);
      return { range: rangeOf(term), most, frequency: own.frequencies[term] ?? 0 };
    })
    .sort((a, b) => a.frequency - b.frequency);
  if (weighted.length === 0 || (question.all && weighted[0]?.frequency === 0)) return [];
  const window = windowOf(options.limit);
  for (let rare = firstRare(weighted, question, window); ; rare = moreRare(weighted, rare)) {
    const rows = await connection.all(statementOf(weighted, rare, question, options));
    if (rows.length > 0 || question.all || rare === weighted.length)
      return rows.map(row => ({ row, keywordScore: numberOf(row, 'score') / SCORE_UNIT }));
  }
}

// How many terms, from the rarest on, bring records: where all must be there, the rarest has them all. Else so many that
// they bring enough, and could be worth more than the others.
function firstRare(weighted: readonly Weighted[], { all }: Question, window: number): number {
  if (all) return 1;
  const index = weighted.findIndex((_, last) => {
    const [rare, others] = [weighted.slice(0, last + 1), weighted.slice(last + 1)];
    return workOf(rare) >= window && mostOf(rare) > mostOf(others);
  });
  return index < 0 ? weighted.length : index + 1;
}

// At least twice the work of the last try, so that all tries together cost no more than twice the last.
function moreRare(weighted: readonly Weighted[], rare: number): number {
  const done = workOf(weighted.slice(0, rare));
  let next = rare + 1;
  while (next < weighted.length && workOf(weighted.slice(0, next)) < 2 * done) next++;
  return next;
}

const workOf = (terms: readonly Weighted[]): number =>
  terms.reduce((sum, { frequency }) => sum + frequency, 0);
const mostOf = (terms: readonly Weighted[]): number => terms.reduce((sum, { most }) => sum + most, 0);

function statementOf(
  weighted: readonly Weighted[],
  rare: number,
  question: Question,
  { statistics, floor, filter, limit }: Options,
): Sql {
  const others = weighted.slice(rare);
  const window = windowOf(limit);
  const lengthFactor = (K1 * B) / meanLength(statistics);
  // BM25 of one posting; cut to a whole number, so that the order of the additions cannot matter.
  const gain = (most: Sql) =>
    sql`CAST(${most} * p.count / (p.count + ${K1 * (1 - B)} + ${lengthFactor} * p.length) AS INTEGER)`;
  const conditions = [...filterOf(filter), ...questionConditions(question)];
  const filtered =
    conditions.length === 0
      ? NOTHING
      : sql`CROSS JOIN records r ON r.record = p.record AND ${every(conditions)}`;
  const reach = reachOf(question, mostOf(others), others.length === 0);
  const complete = sql`HAVING count(DISTINCT CASE WHEN p.record IS NOT NULL THEN o.n END) = ${others.length}`;
  const full =
    others.length === 0
      ? sql`SELECT b.record, b.score FROM brought b WHERE ${reach}`
      : sql`
      SELECT b.record, b.score + coalesce(sum(${gain(sql`o.most`)}), 0) AS score
      FROM brought b
      LEFT JOIN others o
      LEFT JOIN postings p ON o.scope = b.scope AND p.term = o.term AND p.record = b.record
      WHERE ${reach}
      GROUP BY b.record
      ${question.all ? complete : NOTHING}`;
  return sql`
    WITH rare AS MATERIALIZED (${termRows(weighted.slice(0, rare), floor)}),
    others AS MATERIALIZED (${termRows(others, floor)}),
    brought AS MATERIALIZED (
      SELECT p.record, a.scope, sum(${gain(sql`a.most`)}) AS score
      FROM rare a CROSS JOIN postings p ON p.term = a.term ${filtered}
      GROUP BY p.record),
    edge AS MATERIALIZED (SELECT score FROM brought ORDER BY score DESC LIMIT 1 OFFSET ${window - 1}),
    full AS (${full})
    SELECT r.id, r.importance, r.pinned, r.used_at, f.score
    FROM full f CROSS JOIN records r ON r.record = f.record
    ORDER BY f.score DESC, r.id LIMIT ${window}`;
}

// Which of the records brought can come to the edge. None at all where the other terms could still bring a record that
// does: then the next try will tell.
function reachOf({ all }: Question, most: number, isLast: boolean): Sql {
  if (isLast) return sql`b.score >= coalesce((SELECT score FROM edge), 0)`;
  if (all) return sql`true`;
  return sql`(SELECT score FROM edge) > ${most} AND b.score + ${most} >= (SELECT score FROM edge)`;
}

// Which terms of the store the query's terms stand for; `n` tells the query's terms apart.
const termRows = (terms: readonly Weighted[], floor: Scope): Sql => sql`
  SELECT a.key AS n, t.term, t.scope, a.value ->> 2 AS most
  FROM json_each(${JSON.stringify(terms.map(({ range, most }) => [...range, most]))}) a
  CROSS JOIN terms t ON t.scope IN ${readable(floor)} AND t.text BETWEEN a.value ->> 0 AND a.value ->> 1`;

// The scopes that may be read, as a list: the index finds a text within each of them.
const readable = (floor: Scope): Sql =>
  sql`(SELECT value FROM json_each(${JSON.stringify(Object.values(SCOPE).filter(scope => scope >= floor))}))`;

// What a search wants besides its terms.
function questionConditions({ phrases, excluded }: Question): Sql[] {
  const conditions = phrases.map(words => sql`instr(r.terms, ${` ${words.join(' ')} `}) > 0`);
  if (excluded.length > 0)
    conditions.push(sql`NOT EXISTS (
      SELECT 1 FROM json_each(${JSON.stringify(excluded.map(rangeOf))}) x
      CROSS JOIN terms e ON e.scope = r.scope AND e.text BETWEEN x.value ->> 0 AND x.value ->> 1
      CROSS JOIN postings q ON q.term = e.term AND q.record = r.record)`);
  return conditions;
}
