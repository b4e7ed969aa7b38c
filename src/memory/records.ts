// Records and their rows, and the index that goes with each row. A record is indexed in the transaction that writes it,
// and its terms are kept with it, so that what was indexed is also what is taken out again.
import { createHash } from 'node:crypto';
import {
  EXTRA_BYTES_MAX,
  type MemoryFilter,
  MemoryRecord,
  OrchError,
  type Visibility,
} from '../protocol/index.ts';
import { type Connection, every, numberOf, type Row, type Sql, sql, textOf } from './database/index.ts';
import { termsOf } from './terms.ts';
import { scopeOf } from './visibility.ts';

const KNOWN: ReadonlySet<string> = new Set(Object.keys(MemoryRecord.shape));

/** What tells records of the same content apart: what it says, as what, and to whom. */
export const digestOf = ({
  content,
  type,
  visibility,
}: Pick<MemoryRecord, 'content' | 'type' | 'visibility'>) =>
  createHash('sha256')
    .update(JSON.stringify([type, visibility, content]))
    .digest('hex');

/** Fields of a record that orch does not know. Throws `too_large` when they are over their bound. */
export function extraOf(value: object, known: ReadonlySet<string> = KNOWN): Record<string, unknown> {
  const extra = Object.fromEntries(Object.entries(value).filter(([key]) => !known.has(key)));
  const bytes = Buffer.byteLength(JSON.stringify(extra));
  if (bytes > EXTRA_BYTES_MAX)
    throw new OrchError(
      'too_large',
      `the fields that orch does not know have ${bytes} bytes, at most ${EXTRA_BYTES_MAX} are allowed`,
    );
  return extra;
}

/** The columns that `recordOf` reads. */
export const RECORD_COLUMNS: Sql = sql`r.record, r.id, r.type, r.importance, r.pinned, r.created_at, r.used_at, r.version,
  r.visibility, r.key, r.tags, r.links, r.source, r.extra, r.content`;

/** A row as a record, its fields always in one order. */
export function recordOf(row: Row): MemoryRecord {
  const optional = (name: string) => (row[name] === null ? {} : { [name]: textOf(row, name) });
  return {
    id: textOf(row, 'id'),
    content: textOf(row, 'content'),
    type: textOf(row, 'type'),
    tags: JSON.parse(textOf(row, 'tags')) as string[],
    links: JSON.parse(textOf(row, 'links')) as string[],
    importance: numberOf(row, 'importance'),
    pinned: row['pinned'] === 1,
    ...optional('source'),
    ...(row['visibility'] === null ? {} : { visibility: textOf(row, 'visibility') as Visibility }),
    ...optional('key'),
    createdAt: new Date(numberOf(row, 'created_at')).toISOString(),
    lastUsedAt: new Date(numberOf(row, 'used_at')).toISOString(),
    version: numberOf(row, 'version'),
    ...(JSON.parse(textOf(row, 'extra')) as object),
  };
}

/** The record with this id or key. */
export async function findRecord(
  connection: Connection,
  by: { id?: string | undefined; key?: string | undefined },
): Promise<MemoryRecord | undefined> {
  const condition = by.id === undefined ? sql`r.key = ${by.key ?? null}` : sql`r.id = ${by.id}`;
  const [row] = await connection.all(sql`SELECT ${RECORD_COLUMNS} FROM records r WHERE ${condition}`);
  return row && recordOf(row);
}

/** Conditions on `records r` for a filter. */
export function filterOf(filter: MemoryFilter): Sql[] {
  const conditions: Sql[] = [];
  const { type, tags = [], since, until, importanceMin, pinned } = filter;
  if (type !== undefined) conditions.push(sql`r.type = ${type}`);
  for (const tag of tags) conditions.push(sql`EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ${tag})`);
  if (since !== undefined) conditions.push(sql`r.created_at >= ${Date.parse(since)}`);
  if (until !== undefined) conditions.push(sql`r.created_at < ${Date.parse(until)}`);
  if (importanceMin !== undefined) conditions.push(sql`r.importance >= ${importanceMin}`);
  if (pinned !== undefined) conditions.push(sql`r.pinned = ${Number(pinned)}`);
  return conditions;
}

/** Adds records that are not there, with their index. */
export async function insertRecords(connection: Connection, records: readonly MemoryRecord[]): Promise<void> {
  const postings: [scope: number, text: string, record: number, count: number, length: number][] = [];
  const links: [scope: number, entity: string, record: number][] = [];
  for (const record of records) {
    const terms = termsOf(record.content);
    const scope = scopeOf(record.visibility);
    const row = await insertRow(connection, record, terms);
    for (const [text, count] of countsOf(terms)) postings.push([scope, text, row, count, terms.length]);
    for (const entity of record.links) links.push([scope, entity, row]);
  }
  const json = JSON.stringify(postings);
  await connection.all(
    sql`INSERT INTO terms (scope, text) SELECT DISTINCT value ->> 0, value ->> 1 FROM json_each(${json}) WHERE true ON CONFLICT DO NOTHING`,
  );
  await connection.all(sql`
    INSERT INTO postings
    SELECT t.term, value ->> 2, value ->> 3, value ->> 4
    FROM json_each(${json}) j CROSS JOIN terms t ON t.scope = j.value ->> 0 AND t.text = j.value ->> 1
    ORDER BY 1, 2`);
  if (links.length > 0)
    await connection.all(
      sql`INSERT INTO links (scope, entity, record) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${JSON.stringify(links)})`,
    );
}

async function insertRow(
  connection: Connection,
  record: MemoryRecord,
  terms: readonly string[],
): Promise<number> {
  const [row] = await connection.all(sql`
    INSERT INTO records (id, scope, type, importance, pinned, created_at, used_at, version, length, visibility, key,
      digest, tags, links, source, extra, content, terms)
    VALUES (${record.id}, ${scopeOf(record.visibility)}, ${record.type}, ${record.importance},
      ${Number(record.pinned)}, ${Date.parse(record.createdAt)}, ${Date.parse(record.lastUsedAt)}, ${record.version},
      ${terms.length}, ${record.visibility ?? null}, ${record.key ?? null}, ${digestOf(record)},
      ${JSON.stringify(record.tags)}, ${JSON.stringify(record.links)}, ${record.source ?? null},
      ${JSON.stringify(extraOf(record))}, ${record.content}, ${` ${terms.join(' ')} `})
    RETURNING record`);
  return numberOf(row, 'record');
}

/** Removes the records with these ids, and what the index has of them. */
export async function removeRecords(connection: Connection, ids: readonly string[]): Promise<void> {
  const rows = await connection.all(
    sql`SELECT record, scope, terms, links FROM records WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`,
  );
  const entriesOf = (row: Row, names: readonly string[]) =>
    names.map(name => [numberOf(row, 'scope'), name, numberOf(row, 'record')]);
  const postings = rows.flatMap(row =>
    entriesOf(row, [...countsOf(textOf(row, 'terms').trim().split(' ')).keys()]),
  );
  const links = rows.flatMap(row => entriesOf(row, JSON.parse(textOf(row, 'links')) as string[]));
  await connection.all(sql`
    DELETE FROM postings WHERE (term, record) IN (
      SELECT t.term, value ->> 2
      FROM json_each(${JSON.stringify(postings)}) j CROSS JOIN terms t ON t.scope = j.value ->> 0 AND t.text = j.value ->> 1)`);
  await connection.all(sql`
    DELETE FROM links WHERE (scope, entity, record) IN (
      SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${JSON.stringify(links)}))`);
  await connection.all(sql`
    DELETE FROM records WHERE record IN (
      SELECT value FROM json_each(${JSON.stringify(rows.map(row => numberOf(row, 'record')))}))`);
}

function countsOf(terms: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) if (term !== '') counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** Ids of records that match, oldest first. */
export async function idsMatching(
  connection: Connection,
  filter: MemoryFilter,
  limit: number,
): Promise<string[]> {
  const rows = await connection.all(
    sql`SELECT r.id FROM records r WHERE ${every(filterOf(filter))} ORDER BY r.record LIMIT ${limit}`,
  );
  return rows.map(row => textOf(row, 'id'));
}
