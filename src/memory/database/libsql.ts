// Files by libsql: the only file that knows it. libsql takes a statement's first step on a thread of its own; for an
// ordered or a writing statement that is all of the work.
// Values are bound as a list of plain values: libsql ends the whole process at a boolean, or at a buffer or null that
// stands alone.
import { BUSY_MS, type DatabaseFile, type Driver, type Row, STATEMENTS_MAX } from './driver.ts';
import type { Value } from './sql.ts';

interface LibsqlStatement {
  all(values: readonly Value[]): Promise<Row[]>;
}

interface LibsqlConnection {
  prepare(sql: string): Promise<LibsqlStatement>;
  exec(sql: string): Promise<void>;
  close(): void;
}

type LibsqlDatabase = new (file: string) => LibsqlConnection;

/** Loads libsql. Throws where there is no build of it for this machine. */
export async function openLibsql(): Promise<Driver> {
  const { default: libsql } = await import('libsql/promise');
  const Database = libsql as unknown as LibsqlDatabase;
  return {
    name: 'libsql',
    open: async file => {
      const connection = new Database(file);
      await connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
      return new LibsqlFile(connection);
    },
  };
}

class LibsqlFile implements DatabaseFile {
  readonly #connection: LibsqlConnection;
  readonly #statements = new Map<string, LibsqlStatement>();

  constructor(connection: LibsqlConnection) {
    this.#connection = connection;
  }

  async all(text: string, values: readonly Value[]): Promise<Row[]> {
    return (await this.#prepared(text)).all(values);
  }

  exec(statements: string): Promise<void> {
    return this.#connection.exec(statements);
  }

  async close(): Promise<void> {
    this.#statements.clear();
    this.#connection.close();
  }

  async #prepared(text: string): Promise<LibsqlStatement> {
    const known = this.#statements.get(text);
    if (known) return known;
    const statement = await this.#connection.prepare(text);
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    this.#statements.set(text, statement);
    return statement;
  }
}
