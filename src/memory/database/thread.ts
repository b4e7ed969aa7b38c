// What runs in a thread of SQLite: files by number, and statements on them, one after the other. In the bundle it is a file
// of its own.
import { parentPort } from 'node:worker_threads';
import { type Row, STATEMENTS_MAX } from './driver.ts';
import type { Value } from './sql.ts';
import { cosineDistance, vector8 } from './vector8.ts';

/** What a thread is asked. `check` fails where its SQLite cannot do what a memory needs. */
export type Request =
  | { kind: 'check' }
  | { kind: 'open'; file: number; path: string }
  | { kind: 'all'; file: number; text: string; values: readonly Value[] }
  | { kind: 'exec'; file: number; text: string }
  | { kind: 'close'; file: number };

/** What a thread answers: rows, or an error with libsql's name for its code. */
export interface Reply {
  id: number;
  rows?: Row[];
  error?: { message: string; code: string };
}

// Types for node:sqlite are not in those of Node 20.
interface Statement {
  all(...values: readonly Value[]): Row[];
}

interface Database {
  prepare(text: string): Statement;
  exec(text: string): void;
  close(): void;
  function(
    name: string,
    options: { deterministic: boolean },
    run: (...values: Uint8Array[]) => Uint8Array | number,
  ): void;
}

interface Sqlite {
  DatabaseSync: new (path: string) => Database;
}

/** By SQLite's number, without what extends it. */
const CODES: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  11: 'SQLITE_CORRUPT',
  26: 'SQLITE_NOTADB',
};

const files = new Map<number, OpenFile>();

parentPort?.on('message', ({ id, request }: { id: number; request: Request }) => {
  let reply: Reply;
  try {
    reply = { id, rows: answer(request) };
  } catch (error) {
    const { message, errcode = 0 } = error as { message: string; errcode?: number };
    reply = { id, error: { message, code: CODES[errcode & 0xff] ?? 'SQLITE_ERROR' } };
  }
  parentPort?.postMessage(reply);
});

function answer(request: Request): Row[] {
  if (request.kind === 'check') {
    new OpenFile(':memory:').close();
    return [];
  }
  if (request.kind === 'open') {
    files.set(request.file, new OpenFile(request.path));
    return [];
  }
  const file = files.get(request.file);
  if (!file) throw new Error('the file is closed');
  if (request.kind === 'all') return file.all(request.text, request.values);
  if (request.kind === 'exec') file.exec(request.text);
  else {
    files.delete(request.file);
    file.close();
  }
  return [];
}

class OpenFile {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(path: string) {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as unknown as Sqlite;
    this.#database = new DatabaseSync(path);
    const deterministic = true;
    this.#database.function('vector8', { deterministic }, vector8);
    this.#database.function('vector_distance_cos', { deterministic }, cosineDistance);
  }

  all(text: string, values: readonly Value[]): Row[] {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.#database.prepare(text);
      if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
      this.#statements.set(text, statement);
    }
    return statement.all(...values);
  }

  exec(text: string): void {
    this.#database.exec(text);
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}
