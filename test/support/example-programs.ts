// Runs the programs of examples/ as a user would: as files, with `orch` on PATH and the server in NATS_URL.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Finished, Orch } from './orch.ts';

/** A program that runs. */
export interface RunningExample {
  readonly stdout: string;
  readonly stderr: string;
  /** Ctrl-C, to it and to what it started. */
  interrupt(): void;
  readonly finished: Promise<Finished>;
}

export interface ExampleOptions {
  input?: string;
  env?: NodeJS.ProcessEnv;
  path?: string;
}

export class Examples implements Disposable {
  readonly #orch: Orch;
  readonly #running = new Set<ChildProcess>();
  /** A folder with nothing but `orch` and `node`, for a PATH without anything else. */
  readonly bin = mkdtempSync(join(tmpdir(), 'orch-bin-'));

  constructor(orch: Orch) {
    this.#orch = orch;
    symlinkSync(resolve('dist/main.js'), join(this.bin, 'orch'));
    symlinkSync(process.execPath, join(this.bin, 'node'));
  }

  /** Starts a program: a file of examples/, or an interpreter with one. `path` is what follows `bin` on PATH. */
  start([program = '', ...words]: readonly string[], options: ExampleOptions = {}): RunningExample {
    const { input = '', env = {}, path = process.env['PATH'] ?? '' } = options;
    const child = spawn(resolve(program), words, {
      env: {
        PATH: [this.bin, path].filter(Boolean).join(delimiter),
        HOME: this.#orch.home,
        XDG_CONFIG_HOME: join(this.#orch.home, 'config'),
        NATS_URL: this.#orch.url,
        ...env,
      },
      // A group of its own, so that what a script started ends with it.
      detached: true,
    });
    this.#running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const finished = new Promise<Finished>((settle, fail) => {
      child.once('error', fail);
      child.once('close', (code, signal) => {
        this.#running.delete(child);
        settle({ code, signal, stdout, stderr });
      });
    });
    return {
      get stdout() {
        return stdout;
      },
      get stderr() {
        return stderr;
      },
      interrupt: () => signalGroup(child, 'SIGINT'),
      finished,
    };
  }

  /** Runs a program to its end. */
  run(words: readonly string[], options?: ExampleOptions): Promise<Finished> {
    return this.start(words, options).finished;
  }

  [Symbol.dispose](): void {
    for (const child of this.#running) signalGroup(child, 'SIGKILL');
    rmSync(this.bin, { recursive: true, force: true });
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
