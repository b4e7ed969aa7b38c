// The built command as real processes, with folders of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inject } from 'vitest';
import { until } from './wait.ts';

const MAIN = resolve('dist/main.js');

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  kill(signal: NodeJS.Signals): void;
  /** Of a worker: returns when it takes tasks; fails with what it said when it ends before. */
  ready(): Promise<void>;
  readonly finished: Promise<Finished>;
}

/** Runs `orch` against one server; ends what is still running when it is disposed. */
export class Orch implements Disposable {
  readonly #children = new Set<ChildProcess>();
  readonly home = mkdtempSync(join(tmpdir(), 'orch-home-'));
  readonly url: string | undefined;
  readonly #main: string;
  env: NodeJS.ProcessEnv = {};

  constructor(url?: string, main = MAIN) {
    this.url = url;
    this.#main = main;
  }

  start(words: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Running {
    const child = spawn(process.execPath, [this.#main, ...words], {
      env: {
        PATH: process.env['PATH'],
        HOME: this.home,
        XDG_DATA_HOME: join(this.home, 'data'),
        XDG_CONFIG_HOME: join(this.home, 'config'),
        ORCH_NATS_SERVER: inject('natsServer'),
        ...(this.url === undefined ? {} : { NATS_URL: this.url }),
        ...this.env,
        ...options.env,
      },
    });
    this.#children.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    let isOver = false;
    const finished = new Promise<Finished>(settle => {
      child.once('close', (code, signal) => {
        this.#children.delete(child);
        isOver = true;
        settle({ code, signal, stdout, stderr });
      });
    });
    const isReady = () => stderr.includes('worker ready');
    return {
      pid: child.pid ?? 0,
      get stdout() {
        return stdout;
      },
      get stderr() {
        return stderr;
      },
      kill: signal => child.kill(signal),
      ready: async () => {
        await until(`${words.join(' ')} to be ready`, () => isReady() || isOver);
        if (!isReady()) throw new Error(`${words.join(' ')} ended: ${stderr}`);
      },
      finished,
    };
  }

  /** Runs a command to its end. */
  run(
    words: readonly string[],
    options: { input?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Finished> {
    return this.start(words, options).finished;
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
  }
}
