// The only file that knows libsql. A connection runs one statement at a time, off the event loop: libsql takes its first
// step, which for an ordered or a writing statement is all of the work, on a thread of its own.
// Promise: values are bound and never spliced; and they are bound as a list of plain values, for libsql ends the whole
// process at a boolean, or at a buffer or null that stands alone.
import { OrchError } from '../protocol/index.ts';
import type { Sql, Value } from './sql.ts';

export type Row = Record<string, string | number | null | ArrayBuffer>;

interface LibsqlStatement {
  all(values: readonly Value[]): Promise<Row[]>;
}

interface LibsqlConnection {
  prepare(sql: string): Promise<LibsqlStatement>;
  exec(sql: string): Promise<void>;
  close(): void;
}

/** How long a write waits for another process that writes the same file: a backup tool, say. */
const BUSY_MS = 5_000;
/** Statements kept prepared; there are some dozen texts. */
const STATEMENTS_MAX = 100;
/** Statements that wait for their turn: one of each question that is open. */
const WAITING_MAX = 1_000;

export class Connection {
  readonly #libsql: LibsqlConnection;
  readonly #statements = new Map<string, LibsqlStatement>();
  // The last statement, so that the next one waits for it.
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;

  private constructor(libsql: LibsqlConnection) {
    this.#libsql = libsql;
  }

  /** Opens a file, or makes it. Throws libsql's error for what is not a database; whatever is wrong within shows later. */
  static async open(file: string): Promise<Connection> {
    // Ten megabytes of native code, for those alone that have an agent.
    const { default: libsql } = await import('libsql/promise');
    const Database = libsql as unknown as new (file: string) => LibsqlConnection;
    const connection = new Connection(new Database(file));
    await connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return connection;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Runs one statement and returns its rows. */
  all({ text, values }: Sql): Promise<Row[]> {
    return this.#inTurn(async () => (await this.#prepared(text)).all(values));
  }

  /** Runs statements without values. */
  exec(statements: string): Promise<void> {
    return this.#inTurn(() => this.#libsql.exec(statements));
  }

  /** Waits for what runs, then closes; both safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last.catch(() => {});
    this.#statements.clear();
    this.#libsql.close();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(new Error('the memory is closed'));
    if (this.#waiting >= WAITING_MAX)
      return Promise.reject(
        new OrchError('unavailable', `${WAITING_MAX} questions wait for the memory`, {
          advice: 'try again in a moment',
        }),
      );
    this.#waiting++;
    const turn = this.#last.then(run, run).finally(() => this.#waiting--);
    this.#last = turn;
    // Its caller hears of a failure; the next in turn does not care.
    turn.catch(() => {});
    return turn;
  }

  async #prepared(text: string): Promise<LibsqlStatement> {
    const known = this.#statements.get(text);
    if (known) return known;
    const statement = await this.#libsql.prepare(text);
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    this.#statements.set(text, statement);
    return statement;
  }
}

/** A number of a row, where the query cannot give anything else. */
export const numberOf = (row: Row | undefined, column: string): number => Number(row?.[column] ?? 0);

/** A text of a row, where the query cannot give anything else. */
export const textOf = (row: Row | undefined, column: string): string => String(row?.[column] ?? '');
