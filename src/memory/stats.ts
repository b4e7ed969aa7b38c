// How much a memory holds, counting only what the asker may read.
import { stat } from 'node:fs/promises';
import type { MemoryStats } from '../protocol/index.ts';
import { numberOf, sql, textOf } from './database/index.ts';
import type { Store } from './schema.ts';
import type { Scope } from './visibility.ts';

/** Types that are told apart; a memory with more of them uses the field for something else. */
const TYPES_MAX = 100;

/** An asker without a floor is told what an empty memory would say. */
export async function statsOf(
  { reader, file }: Store,
  floor: Scope | undefined,
  isOwn: boolean,
): Promise<
  Pick<MemoryStats, 'records' | 'types' | 'entities' | 'oldest' | 'newest' | 'embedded' | 'fileBytes'>
> {
  if (floor === undefined) return { records: 0, types: {}, entities: 0, embedded: 0 };
  const [totals] = await reader.all(sql`
    SELECT count(*) AS records, min(created_at) AS oldest, max(created_at) AS newest FROM records WHERE scope >= ${floor}`);
  const types = await reader.all(sql`
    SELECT type, count(*) AS records FROM records WHERE scope >= ${floor}
    GROUP BY type ORDER BY records DESC, type LIMIT ${TYPES_MAX}`);
  const [links] = await reader.all(
    sql`SELECT count(DISTINCT entity) AS entities FROM links WHERE scope >= ${floor}`,
  );
  const [vectors] = await reader.all(
    sql`SELECT count(*) AS embedded FROM vectors WHERE place >= (${floor} << 40)`,
  );
  const records = numberOf(totals, 'records');
  const time = (column: string) => new Date(numberOf(totals, column)).toISOString();
  return {
    records,
    types: Object.fromEntries(types.map(row => [textOf(row, 'type'), numberOf(row, 'records')])),
    entities: numberOf(links, 'entities'),
    ...(records > 0 ? { oldest: time('oldest'), newest: time('newest') } : {}),
    embedded: numberOf(vectors, 'embedded'),
    ...(isOwn ? { fileBytes: (await stat(file)).size } : {}),
  };
}
