// Writes in the order in which they came, many to a commit: those that wait while one commit is on its way to the disk
// share the next. Promises: a write is acknowledged after its commit is on the disk; one that fails takes nothing of
// the others with it.
import { OrchError } from '../protocol/index.ts';
import type { Connection } from './database/index.ts';

/** Writes of one commit: so many wait no longer for each other than for the disk. */
const COMMIT_WRITES_MAX = 64;
/** Writes that wait; a caller who is over it is faster than the disk. */
const WAITING_MAX = 10_000;

interface Job {
  run(): Promise<() => void>;
  fail(error: unknown): void;
}

export class Writer {
  readonly #connection: Connection;
  readonly #waiting: Job[] = [];
  #work: Promise<void> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Runs `write` within a transaction; its value counts once that is on the disk. */
  run<T>(write: (connection: Connection) => Promise<T>): Promise<T> {
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(
        new OrchError('unavailable', `${WAITING_MAX} writes wait for the disk`, {
          advice: 'try again in a moment',
        }),
      );
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        run: async () => {
          const value = await write(this.#connection);
          return () => resolve(value);
        },
        fail: reject,
      });
      this.#work ??= this.#commitAll();
    });
  }

  /** Waits until nothing waits. */
  async settled(): Promise<void> {
    while (this.#work) await this.#work;
  }

  async #commitAll(): Promise<void> {
    // Those who write in the same turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, COMMIT_WRITES_MAX));
    this.#work = undefined;
  }

  async #commit(jobs: readonly Job[]): Promise<void> {
    const acknowledge: (() => void)[] = [];
    try {
      await this.#connection.exec('BEGIN IMMEDIATE');
      for (const job of jobs) {
        await this.#connection.exec('SAVEPOINT write');
        try {
          acknowledge.push(await job.run());
        } catch (error) {
          await this.#connection.exec('ROLLBACK TO write');
          job.fail(error);
        }
        await this.#connection.exec('RELEASE write');
      }
      await this.#connection.exec('COMMIT');
      for (const done of acknowledge) done();
    } catch (error) {
      // Nothing of it counts; a job that failed by itself has heard why, and ignores this.
      await this.#connection.exec('ROLLBACK').catch(() => {});
      for (const job of jobs) job.fail(error);
    }
  }
}
