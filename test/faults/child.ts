// A child process of a run: its log goes to a file, and it ends when the runner ends, however that happens.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  env: NodeJS.ProcessEnv;
  /** What it prints is appended here. */
  logFile: string;
  /** Its stdin and stdout are pipes; default no stdin, and stdout in the log. */
  isPiped?: boolean;
}

// The guard waits on a pipe that the runner holds. A line on it ends the guard alone; the end of the pipe, which only a
// runner that died leaves behind, ends the child.
const GUARDED = `
(read -r _ <&3 || kill -KILL $$) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;

export class Child {
  readonly #process: ChildProcess;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;

  constructor(command: readonly string[], { env, logFile, isPiped = false }: ChildOptions) {
    const log = openSync(logFile, 'a');
    this.#process = spawn('/bin/sh', ['-c', GUARDED, 'orch', ...command], {
      env,
      stdio: [isPiped ? 'pipe' : 'ignore', isPiped ? 'pipe' : log, log, 'pipe'],
      // Ctrl-C reaches the runner, which ends its children in order.
      detached: true,
    });
    closeSync(log);
    const guard = this.#process.stdio[3] as Writable | null;
    guard?.on('error', () => {});
    this.#process.stdin?.on('error', () => {});
    this.exited = new Promise<Exit>(resolve => {
      this.#process.once('error', () => resolve({ code: null, signal: null }));
      this.#process.once('exit', (code, signal) => resolve({ code, signal }));
    }).then(exit => {
      this.exit = exit;
      guard?.end('\n');
      return exit;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get stdin(): Writable {
    if (!this.#process.stdin) throw new Error('this child has no pipes');
    return this.#process.stdin;
  }

  get stdout(): Readable {
    if (!this.#process.stdout) throw new Error('this child has no pipes');
    return this.#process.stdout;
  }

  /** Sends a signal to the process itself, not to what it started. */
  kill(signal: NodeJS.Signals): void {
    if (!this.exit) this.#process.kill(signal);
  }

  /** Waits for its end, at most so long; undefined when it is still there. */
  async endsWithin(timeoutMs: number): Promise<Exit | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    try {
      return await Promise.race([this.exited, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
