// What a driver of SQLite files must do.
import type { Value } from './sql.ts';

/** A row by column name. */
export type Row = Record<string, string | number | null | ArrayBuffer | Uint8Array>;

/** An open file. It runs one statement at a time, off the event loop. */
export interface DatabaseFile {
  /** Runs one statement and returns its rows. The statement stays prepared for the next time. */
  all(text: string, values: readonly Value[]): Promise<Row[]>;
  /** Runs statements without values. */
  exec(statements: string): Promise<void>;
  close(): Promise<void>;
}

/** What opens files. */
export interface Driver {
  readonly name: 'libsql' | 'node:sqlite';
  /** Opens a file, or creates it. Damage within it is found when it is read. */
  open(file: string): Promise<DatabaseFile>;
}

/** How long a write waits for another process that writes the same file, such as a backup tool. */
export const BUSY_MS = 5_000;
/** Statements that a file keeps prepared; there are some dozen texts. */
export const STATEMENTS_MAX = 100;
