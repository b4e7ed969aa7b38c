// A connection to the file of one agent. It runs one statement at a time, in the order in which they were given.
// Promise: values are bound and never spliced.
import { OrchError } from '../../protocol/index.ts';
import { chooseDriver } from './choice.ts';
import type { DatabaseFile, Row } from './driver.ts';
import type { Sql } from './sql.ts';

/** Statements that wait for their turn: one of each question that is open. */
const WAITING_MAX = 1_000;

/** An open file and the statements that wait for it. */
export class Connection {
  readonly #file: DatabaseFile;
  // The last statement, so that the next one waits for it.
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;

  private constructor(file: DatabaseFile) {
    this.#file = file;
  }

  /**
   * Opens a file, or creates it. Throws the driver's error for what is not a database, and `unsupported` where this
   * machine has no driver. Damage within the file is found when it is read.
   */
  static async open(file: string): Promise<Connection> {
    return new Connection(await (await chooseDriver()).open(file));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Runs one statement and returns its rows. */
  all({ text, values }: Sql): Promise<Row[]> {
    return this.#inTurn(() => this.#file.all(text, values));
  }

  /** Runs statements without values. */
  exec(statements: string): Promise<void> {
    return this.#inTurn(() => this.#file.exec(statements));
  }

  /** Waits for what runs, then closes; both safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last.catch(() => {});
    await this.#file.close();
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
    // Its caller gets the failure; the next in turn runs all the same.
    turn.catch(() => {});
    return turn;
  }
}

/** A number of a row, where the query cannot give anything else. */
export const numberOf = (row: Row | undefined, column: string): number => Number(row?.[column] ?? 0);

/** A text of a row, where the query cannot give anything else. */
export const textOf = (row: Row | undefined, column: string): string => String(row?.[column] ?? '');
