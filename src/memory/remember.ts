// Remembering and forgetting: what a request means for what is there. Each runs within one transaction of the writer,
// so that between looking and writing nobody else writes. Contention is a value.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  FORGET_MAX,
  type ForgetReply,
  type ForgetRequest,
  type MemoryRecord,
  OrchError,
  RECORDS_MAX,
  type RememberReply,
  RememberRequest,
} from '../protocol/index.ts';
import { type Connection, numberOf, sql, textOf } from './database/index.ts';
import { digestOf, extraOf, findRecord, idsMatching, insertRecords, removeRecords } from './records.ts';

// A client that sends back a record that it was given changes what can be changed; the rest is the store's to say.
const NOT_TO_SAY = ['createdAt', 'lastUsedAt', 'version', 'score', 'agent', 'node', 'truncated'];
const SAID: ReadonlySet<string> = new Set([...Object.keys(RememberRequest.shape), ...NOT_TO_SAY]);

/**
 * Writes what a request says. The same again changes nothing, whatever its `ifVersion`: its sender may have missed the
 * first answer. Throws `not_found` for an id that is not there, `too_large` when the store is full.
 */
export async function remember(
  connection: Connection,
  request: RememberRequest,
  now: Date,
): Promise<RememberReply> {
  const current = await target(connection, request);
  if (current && isSaidAlready(current, request)) return unchanged(current);
  const version = current?.version ?? 0;
  if (request.ifVersion !== undefined && request.ifVersion !== version)
    return { outcome: 'conflict', ...(current ? { id: current.id } : {}), version, deduped: false };
  if (current) {
    const record = { ...recordFrom(request, now), id: current.id, version: version + 1 };
    // By its id a record may be changed that has a key, and it keeps that.
    if (request.key === undefined && current.key !== undefined) record.key = current.key;
    record.createdAt = current.createdAt;
    await refuseTakenKey(connection, record);
    await removeRecords(connection, [current.id]);
    await insertRecords(connection, [record]);
    return { outcome: 'updated', id: record.id, version: record.version, deduped: false };
  }
  const twin = request.key === undefined && (await twinOf(connection, request));
  if (twin) return unchanged(twin);
  await refuseWhenFull(connection);
  const record = recordFrom(request, now);
  await insertRecords(connection, [record]);
  return { outcome: 'created', id: record.id, version: 1, deduped: false };
}

async function target(
  connection: Connection,
  { id, key }: RememberRequest,
): Promise<MemoryRecord | undefined> {
  if (id === undefined && key === undefined) return undefined;
  const current = await findRecord(connection, { id, key });
  if (id !== undefined && !current) throw new OrchError('not_found', `no record ${JSON.stringify(id)}`);
  return current;
}

const unchanged = ({ id, version }: { id: string; version: number }): RememberReply => ({
  outcome: 'unchanged',
  id,
  version,
  deduped: true,
});

const COMPARED = [
  'content',
  'type',
  'tags',
  'links',
  'importance',
  'pinned',
  'source',
  'visibility',
] as const;

function isSaidAlready(current: MemoryRecord, request: RememberRequest): boolean {
  return (
    COMPARED.every(field => isDeepStrictEqual(current[field], request[field])) &&
    (request.key === undefined || request.key === current.key) &&
    isDeepStrictEqual(extraOf(current), extraOf(request, SAID))
  );
}

function recordFrom(request: RememberRequest, now: Date): MemoryRecord {
  const { content, type, tags, links, importance, pinned, source, visibility, key } = request;
  return {
    id: randomUUID(),
    content,
    type,
    tags,
    links,
    importance,
    pinned,
    ...(source === undefined ? {} : { source }),
    ...(visibility === undefined ? {} : { visibility }),
    ...(key === undefined ? {} : { key }),
    createdAt: now.toISOString(),
    lastUsedAt: now.toISOString(),
    version: 1,
    ...extraOf(request, SAID),
  };
}

async function twinOf(
  connection: Connection,
  request: RememberRequest,
): Promise<{ id: string; version: number } | undefined> {
  const [row] = await connection.all(
    sql`SELECT id, version FROM records WHERE digest = ${digestOf(request)} ORDER BY record LIMIT 1`,
  );
  return row && { id: textOf(row, 'id'), version: numberOf(row, 'version') };
}

async function refuseTakenKey(connection: Connection, { id, key }: MemoryRecord): Promise<void> {
  const other = key === undefined ? undefined : await findRecord(connection, { key });
  if (other && other.id !== id)
    throw new OrchError('conflict', `key ${JSON.stringify(key)} is that of record ${other.id}`);
}

async function refuseWhenFull(connection: Connection): Promise<void> {
  const [row] = await connection.all(sql`SELECT sum(records) AS records FROM totals`);
  if (numberOf(row, 'records') >= RECORDS_MAX)
    throw new OrchError('too_large', `the memory has ${RECORDS_MAX} records, and may not have more`, {
      advice: 'forget some',
    });
}

/** Removes what a request names. */
export async function forget(connection: Connection, request: ForgetRequest): Promise<ForgetReply> {
  const { id, key, filter, ifVersion } = request;
  if (filter) {
    const ids = await idsMatching(connection, { pinned: false, ...filter }, FORGET_MAX + 1);
    const more = ids.length > FORGET_MAX;
    const removed = ids.slice(0, FORGET_MAX);
    await removeRecords(connection, removed);
    return { outcome: removed.length > 0 ? 'forgotten' : 'none', ids: removed, more };
  }
  const record = await findRecord(connection, { id, key });
  if (!record) return { outcome: 'none', ids: [], more: false };
  if (ifVersion !== undefined && ifVersion !== record.version)
    return { outcome: 'conflict', ids: [], more: false, version: record.version };
  await removeRecords(connection, [record.id]);
  return { outcome: 'forgotten', ids: [record.id], more: false };
}
