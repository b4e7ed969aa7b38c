// The candidates of one store for a question: its best by words and, where there is an embedder that answers, its best
// by vectors, each with what the fusion weighs. And the records behind them, once it is known which are the best of all.
import type { Candidate, CandidatesRequest, MemoryRecord, Method } from '../protocol/index.ts';
import { type Connection, numberOf, type Row, sql, textOf } from './database/index.ts';
import { keywordHits } from './keyword.ts';
import { RECORD_COLUMNS, recordOf } from './records.ts';
import type { Stopwatch } from './stopwatch.ts';
import { questionOf, searchQuestionOf } from './terms.ts';
import type { Vectors } from './vectors.ts';
import type { Scope } from './visibility.ts';

/** How each kind of question reads its query. */
export const QUESTIONS = { recall: questionOf, search: searchQuestionOf };
export type Kind = keyof typeof QUESTIONS;

/** The store that candidates are taken from. */
export interface CandidateSource {
  owner: { agent: string; node?: string };
  reader: Connection;
  vectors: Vectors | undefined;
}

/** The candidates of this store, scored with the statistics of all. A search goes by words alone. */
export async function candidatesOf(
  { owner, reader, vectors }: CandidateSource,
  { kind, query, statistics, limit, ...filter }: CandidatesRequest,
  floor: Scope,
  watch: Stopwatch,
): Promise<{ candidates: Candidate[]; method: Method }> {
  const options = { floor, filter, limit };
  // Side by side: the embedder is another program's time.
  const [vector, byWords] = await Promise.all([
    kind === 'recall' ? watch.time('embedMs', vectors?.ofQuery(query)) : undefined,
    watch.time('keywordMs', keywordHits(reader, QUESTIONS[kind](query), { ...options, statistics })),
  ]);
  const candidates = new Map<string, Candidate>();
  const put = (row: Row, score: Pick<Candidate, 'keywordScore' | 'vectorScore' | 'model'>) => {
    const id = textOf(row, 'id');
    candidates.set(id, { ...(candidates.get(id) ?? candidateOf(row, owner)), ...score });
  };
  for (const { row, keywordScore } of byWords) put(row, { keywordScore });
  if (vectors && vector) {
    const { model } = vectors;
    const byVector = await watch.time('vectorMs', vectors.hits(reader, vector, options));
    for (const { row, vectorScore } of byVector) put(row, { vectorScore, model });
  }
  return { candidates: [...candidates.values()], method: vector ? 'hybrid' : 'keyword' };
}

const candidateOf = (row: Row, owner: CandidateSource['owner']): Candidate => ({
  id: textOf(row, 'id'),
  ...owner,
  importance: numberOf(row, 'importance'),
  pinned: row['pinned'] === 1,
  lastUsedAt: new Date(numberOf(row, 'used_at')).toISOString(),
});

/** The records with these ids that may be read, by id. */
export async function readRecords(
  reader: Connection,
  ids: readonly string[],
  floor: Scope,
): Promise<Map<string, MemoryRecord>> {
  const rows = await reader.all(sql`
    SELECT ${RECORD_COLUMNS} FROM json_each(${JSON.stringify(ids)}) j
    CROSS JOIN records r ON r.id = j.value AND r.scope >= ${floor}`);
  return new Map(rows.map(row => [textOf(row, 'id'), recordOf(row)]));
}
