// The file of one agent: its tables, and how it is opened. Opening checks the whole file, brings an older one up to
// date, and refuses a damaged one, another agent's, or one of a newer orch, with the file's name and the way back.
//
// What may not be read is not visited: the index is ordered by scope before all else, so that an answer takes the same
// time whatever a memory holds that the asker may not see. That, and statistics that add up over stores, is why
// the index is made of plain tables: FTS5 counts all its rows alike in `bm25()` and in its posting lists.
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, OrchError } from '../protocol/index.ts';
import { Connection, numberOf, sql, textOf } from './database/index.ts';

/** Each brings a file from the version that is its place to the next. What has landed is never changed. */
const MIGRATIONS = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- What is filtered by stands before what is long.
  CREATE TABLE records (
    record INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    scope INTEGER NOT NULL,
    type TEXT NOT NULL,
    importance REAL NOT NULL,
    pinned INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    length INTEGER NOT NULL,
    has_vector INTEGER NOT NULL DEFAULT 0,
    visibility TEXT,
    key TEXT UNIQUE,
    digest TEXT NOT NULL,
    tags TEXT NOT NULL,
    links TEXT NOT NULL,
    source TEXT,
    extra TEXT NOT NULL,
    content TEXT NOT NULL,
    terms TEXT NOT NULL
  ) STRICT;
  CREATE INDEX records_by_digest ON records (digest);
  CREATE INDEX records_by_scope ON records (scope, type, created_at);
  CREATE INDEX records_to_embed ON records (record) WHERE has_vector = 0;

  CREATE TABLE totals (
    scope INTEGER PRIMARY KEY, records INTEGER NOT NULL, length INTEGER NOT NULL
  ) STRICT;
  -- Each scope has words of its own: those of hidden records are not even gone past.
  CREATE TABLE terms (
    term INTEGER PRIMARY KEY, scope INTEGER NOT NULL, text TEXT NOT NULL, records INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, text)
  ) STRICT;
  CREATE TABLE postings (
    term INTEGER NOT NULL, record INTEGER NOT NULL, count INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (term, record)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE links (
    entity TEXT NOT NULL, scope INTEGER NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (entity, scope, record)
  ) STRICT, WITHOUT ROWID;
  -- The place is scope * 2^40 + record.
  CREATE TABLE vectors (place INTEGER PRIMARY KEY, id TEXT NOT NULL, vector BLOB NOT NULL) STRICT;

  CREATE TRIGGER record_added AFTER INSERT ON records BEGIN
    INSERT INTO totals VALUES (new.scope, 1, new.length)
      ON CONFLICT DO UPDATE SET records = records + 1, length = length + excluded.length;
  END;
  CREATE TRIGGER record_removed AFTER DELETE ON records BEGIN
    UPDATE totals SET records = records - 1, length = length - old.length WHERE scope = old.scope;
    DELETE FROM vectors WHERE place = (old.scope << 40) + old.record;
  END;
  CREATE TRIGGER posting_added AFTER INSERT ON postings BEGIN
    UPDATE terms SET records = records + 1 WHERE term = new.term;
  END;
  -- The words of what was forgotten are forgotten too.
  CREATE TRIGGER posting_removed AFTER DELETE ON postings BEGIN
    UPDATE terms SET records = records - 1 WHERE term = old.term;
    DELETE FROM terms WHERE term = old.term AND records = 0;
  END;
  `,
];

/** Pages of the file kept in memory by each connection, in KiB. */
const CACHE_KIB = 16 * 1024;

export interface Store {
  file: string;
  reader: Connection;
  writer: Connection;
}

/** The file of an agent. */
export const fileOf = (dir: string, agent: string): string => join(dir, `${agent}.db`);

/** Opens the file of an agent, or makes it. Throws `usage` for a file that cannot be used, and `unsupported`. */
export async function openStore(dir: string, agent: string): Promise<Store> {
  const file = fileOf(dir, agent);
  const open: Connection[] = [];
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const writer = await Connection.open(file);
    open.push(writer);
    // Its -wal and -shm take this over.
    await chmod(file, 0o600);
    // FULL: what was acknowledged is on the disk. A word that was forgotten is overwritten.
    await writer.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA cache_size = -${CACHE_KIB}`,
    );
    await checkIntegrity(writer);
    await migrate(writer, agent, file);
    const reader = await Connection.open(file);
    open.push(reader);
    await reader.exec(`PRAGMA query_only = ON; PRAGMA cache_size = -${CACHE_KIB}`);
    return { file, reader, writer };
  } catch (error) {
    for (const connection of open) await connection.close();
    throw storeError(error, agent, file);
  }
}

/** Brings all into the one file, then closes it; safe to call twice. */
export async function closeStore({ reader, writer }: Store): Promise<void> {
  await reader.close();
  // Where another process reads the file, the rest stays in its -wal and counts as well.
  if (!writer.isClosed) await writer.exec('PRAGMA wal_checkpoint(TRUNCATE)').catch(() => {});
  await writer.close();
}

async function checkIntegrity(connection: Connection): Promise<void> {
  const found = textOf((await connection.all(sql`PRAGMA quick_check(1)`))[0], 'quick_check');
  if (found !== 'ok') throw new Damage(found);
}

class Damage extends Error {}

async function migrate(connection: Connection, agent: string, file: string): Promise<void> {
  const version = numberOf((await connection.all(sql`PRAGMA user_version`))[0], 'user_version');
  if (version > MIGRATIONS.length)
    throw new OrchError(
      'unsupported',
      `memory of agent ${agent}: ${file} has version ${version}, this orch knows up to ${MIGRATIONS.length}`,
      { advice: 'use the newer orch that wrote it' },
    );
  for (const [index, statements] of MIGRATIONS.slice(version).entries())
    await connection.exec(
      `BEGIN IMMEDIATE; ${statements}; PRAGMA user_version = ${version + index + 1}; COMMIT`,
    );
  await connection.all(sql`INSERT INTO meta VALUES ('agent', ${agent}) ON CONFLICT DO NOTHING`);
  const [row] = await connection.all(sql`SELECT value FROM meta WHERE name = 'agent'`);
  if (textOf(row, 'value') !== agent)
    throw new OrchError(
      'usage',
      `memory of agent ${agent}: ${file} is that of agent ${textOf(row, 'value')}`,
      {
        advice: 'give each agent the file that carries its name',
      },
    );
}

/** What the database says, as an error that names the file and the way back. */
export function storeError(error: unknown, agent: string, file: string): OrchError {
  if (error instanceof OrchError) return error;
  const code = (error as { code?: string }).code ?? '';
  const isDamaged = error instanceof Damage || code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
  if (isDamaged)
    return new OrchError('usage', `memory of agent ${agent}: ${file} is damaged: ${messageOf(error)}`, {
      advice: `move ${file} with its -wal and -shm away, put a backup in its place or import an export; other agents are not affected`,
      cause: error,
    });
  return new OrchError('failed', `memory of agent ${agent}: ${file}: ${messageOf(error)}`, { cause: error });
}
