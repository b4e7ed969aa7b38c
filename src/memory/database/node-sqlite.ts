// Files by Node's own SQLite, which runs in the thread that calls it. So it gets threads of its own: a few for the whole
// process, because a node may own hundreds of agents with two connections each. The files take turns at them, and as
// a memory opens its writer before its reader, writes that wait for the disk hold up no reads.
import { isBuiltin } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BUSY_MS, type DatabaseFile, type Driver, type Row } from './driver.ts';
import type { Value } from './sql.ts';
import type { Reply, Request } from './thread.ts';

// The source as it stands, where nothing is bundled; else the file that the build puts beside this one. A thread that
// loaded this module itself would run all of a program that has orch bundled into it.
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './thread.ts' : './sqlite-thread.js',
  import.meta.url,
);
const THREADS_MAX = 4;
/** Between two tries of a statement that another process's write holds up. */
const BUSY_PAUSE_MS = 20;

/** Starts the first thread. Throws where Node has no SQLite, or one that is too old to be given functions. */
export async function openNodeSqlite(): Promise<Driver> {
  if (!isBuiltin('node:sqlite')) throw new Error('this Node has no node:sqlite');
  const threads: Thread[] = [new Thread()];
  await threads[0]?.ask({ kind: 'check' });
  let opened = 0;
  return {
    name: 'node:sqlite',
    open: async path => {
      const file = opened++;
      const place = file % THREADS_MAX;
      const current = threads[place];
      const thread = current && !current.isOver ? current : new Thread();
      threads[place] = thread;
      await thread.ask({ kind: 'open', file, path });
      return new NodeSqliteFile(thread, file);
    },
  };
}

class NodeSqliteFile implements DatabaseFile {
  readonly #thread: Thread;
  readonly #file: number;

  constructor(thread: Thread, file: number) {
    this.#thread = thread;
    this.#file = file;
  }

  all(text: string, values: readonly Value[]): Promise<Row[]> {
    return this.#patiently({ kind: 'all', file: this.#file, text, values });
  }

  async exec(text: string): Promise<void> {
    await this.#patiently({ kind: 'exec', file: this.#file, text });
  }

  async close(): Promise<void> {
    await this.#thread.ask({ kind: 'close', file: this.#file });
  }

  // SQLite would wait inside the thread, and hold up the other files there; perhaps the very one that it waits for.
  async #patiently(request: Request): Promise<Row[]> {
    const deadline = performance.now() + BUSY_MS;
    for (;;) {
      try {
        return await this.#thread.ask(request);
      } catch (error) {
        if ((error as { code?: string }).code !== 'SQLITE_BUSY' || performance.now() > deadline) throw error;
        await sleep(BUSY_PAUSE_MS);
      }
    }
  }
}

interface Waiting {
  resolve(rows: Row[]): void;
  reject(error: Error): void;
}

/** A thread of SQLite. It keeps the process alive only while something waits for it. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  /** It ended, and answers nothing any more. */
  isOver = false;

  constructor() {
    this.#worker = new Worker(THREAD, {
      // node:sqlite is marked as an experiment in Node 22, which users of orch need not read at each start.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', error => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the thread of the memory ended')));
  }

  ask(request: Request): Promise<Row[]> {
    if (this.isOver) return Promise.reject(new Error('the thread of the memory ended'));
    return new Promise((resolve, reject) => {
      const id = this.#asked++;
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request });
    });
  }

  #settle({ id, rows, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (error) waiting?.reject(Object.assign(new Error(error.message), { code: error.code }));
    else waiting?.resolve(rows ?? []);
  }

  #fail(error: Error): void {
    this.isOver = true;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
