// Taking a memory out and in again: NDJSON, one record a line, and a copy of the file. An export that is imported into an
// empty store and exported again is the same bytes. Both go on while the memory is at work: a copy is the memory at
// one moment; an export is each record at some moment of it.
import { chmod } from 'node:fs/promises';
import { MemoryRecord, messageOf, OrchError, parseAs, RECORDS_MAX } from '../protocol/index.ts';
import { Connection, numberOf, sql, textOf } from './database/index.ts';
import { insertRecords, RECORD_COLUMNS, recordOf, removeRecords } from './records.ts';
import type { Writer } from './writer.ts';

/** Records that are read or written at a time: others come between two of these. */
const PAGE = 200;

export interface Imported {
  /** Records that were not there. */
  added: number;
  /** Records that were there in an older version. */
  replaced: number;
  /** Records that were there in this or a newer version, and stayed. */
  kept: number;
}

/** A line of an export as text, or its object and its position for errors. */
export type ImportLine = string | { value: unknown; at: string };

/** The lines of an export, without their ends. */
export async function* exportLines(reader: Connection): AsyncGenerator<string> {
  let last = 0;
  for (;;) {
    const rows = await reader.all(
      sql`SELECT ${RECORD_COLUMNS} FROM records r WHERE r.record > ${last} ORDER BY r.record LIMIT ${PAGE}`,
    );
    for (const row of rows) yield JSON.stringify(recordOf(row));
    if (rows.length < PAGE) return;
    last = numberOf(rows.at(-1), 'record');
  }
}

/**
 * Reads the lines of an export. A record that exists stays unless the line has a newer version, so an import that
 * broke off can be run again. Throws `usage` with the position of an invalid line; the pages before it are stored.
 */
export async function importLines(
  writer: Writer,
  lines: Iterable<ImportLine> | AsyncIterable<ImportLine>,
): Promise<Imported> {
  const imported: Imported = { added: 0, replaced: 0, kept: 0 };
  let page: MemoryRecord[] = [];
  const flush = async () => {
    const records = page;
    page = [];
    const done = await writer.run(connection => importPage(connection, records));
    for (const key of ['added', 'replaced', 'kept'] as const) imported[key] += done[key];
  };
  let number = 0;
  for await (const line of lines) {
    number++;
    if (typeof line !== 'string') page.push(parseAs(MemoryRecord, line.value, line.at));
    else if (line.trim() === '') continue;
    else page.push(readLine(line, `line ${number}`));
    if (page.length === PAGE) await flush();
  }
  if (page.length > 0) await flush();
  return imported;
}

function readLine(line: string, what: string): MemoryRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new OrchError('usage', `${what} is not JSON: ${messageOf(error)}`);
  }
  return parseAs(MemoryRecord, value, what);
}

async function importPage(connection: Connection, records: readonly MemoryRecord[]): Promise<Imported> {
  // A line further down may be a newer version of one above.
  const newest = new Map<string, MemoryRecord>();
  for (const record of records) {
    const other = newest.get(record.id);
    if (!other || other.version < record.version) newest.set(record.id, record);
  }
  const there = await versionsOf(connection, [...newest.keys()]);
  const wanted = [...newest.values()].filter(({ id, version }) => version > (there.get(id) ?? 0));
  const replaced = wanted.filter(({ id }) => there.has(id)).map(({ id }) => id);
  await removeRecords(connection, replaced);
  const [totals] = await connection.all(sql`SELECT sum(records) AS records FROM totals`);
  if (numberOf(totals, 'records') + wanted.length > RECORDS_MAX)
    throw new OrchError('too_large', `a memory has at most ${RECORDS_MAX} records`);
  await refuseTakenKeys(connection, wanted);
  await insertRecords(connection, wanted);
  return {
    added: wanted.length - replaced.length,
    replaced: replaced.length,
    kept: records.length - wanted.length,
  };
}

async function versionsOf(connection: Connection, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await connection.all(
    sql`SELECT id, version FROM records WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`,
  );
  return new Map(rows.map(row => [textOf(row, 'id'), numberOf(row, 'version')]));
}

async function refuseTakenKeys(connection: Connection, records: readonly MemoryRecord[]): Promise<void> {
  const owners = new Map<string, string>();
  const keys = records.flatMap(({ key }) => (key === undefined ? [] : [key]));
  for (const row of await connection.all(
    sql`SELECT key, id FROM records WHERE key IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`,
  ))
    owners.set(textOf(row, 'key'), textOf(row, 'id'));
  for (const { id, key } of records) {
    if (key === undefined) continue;
    const owner = owners.get(key);
    if (owner !== undefined && owner !== id)
      throw new OrchError('conflict', `record ${id}: key ${JSON.stringify(key)} is that of record ${owner}`);
    owners.set(key, id);
  }
}

/** Copies the store to a new file, at one moment. Throws `conflict` when the file exists. */
export async function copyTo(store: string, file: string): Promise<void> {
  // A connection of its own: the reader may not write, not even elsewhere, and the writer may be within a transaction.
  const connection = await Connection.open(store);
  try {
    await connection.all(sql`VACUUM INTO ${file}`);
  } catch (error) {
    if (messageOf(error).includes('already exists'))
      throw new OrchError('conflict', `${file} exists, and a backup writes over nothing`);
    throw error;
  } finally {
    await connection.close();
  }
  await chmod(file, 0o600);
}
