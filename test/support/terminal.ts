// The built command on a pseudo terminal, and what a person would see there. `script` of util-linux makes the terminal;
// an emulator that is larger than it shows also what is painted beyond its edges.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import xterm from '@xterm/headless';
import type { Orch } from './orch.ts';
import { until } from './wait.ts';

const MAIN = resolve('dist/main.js');
/** Larger than any size that a test gives its terminal. */
const EMULATOR = { cols: 200, rows: 80, allowProposedApi: true, scrollback: 0 };

export const KEYS = {
  enter: '\r',
  escape: '\u001b',
  tab: '\t',
  backTab: '\u001b[Z',
  down: '\u001b[B',
  ctrlC: '\u0003',
};

export class Terminal implements Disposable {
  readonly #child: ChildProcess;
  readonly #emulator = new xterm.Terminal(EMULATOR);
  /** Where the shell on the terminal says which terminal it is, and which process the command. */
  readonly #place: string;
  /** All that was written to the terminal. */
  raw = '';
  readonly finished: Promise<number | null>;

  constructor(
    orch: Orch,
    words: readonly string[],
    { rows = 24, columns = 80, env = {} }: { rows?: number; columns?: number; env?: NodeJS.ProcessEnv } = {},
  ) {
    this.#place = join(orch.home, crypto.randomUUID());
    const command = [process.execPath, MAIN, ...words].map(quote).join(' ');
    const script = [
      // Before the command reads keys one by one, Ctrl-C is a signal to the shell as well, which a person's survives.
      'trap : INT',
      `stty rows ${rows} cols ${columns}`,
      `tty > ${this.#place}.tty`,
      `sh -c 'echo $$ > "$0"; exec "$@"' ${this.#place}.pid ${command}`,
      'code=$?',
      'echo "back in the shell"',
      'case $(stty -a) in *-icanon*|*-echo\\ *) echo "where keys do not show";; esac',
      'exit $code',
    ].join('; ');
    this.#child = spawn('script', ['-qfec', script, '/dev/null'], {
      env: {
        PATH: process.env['PATH'],
        HOME: orch.home,
        SHELL: '/bin/sh',
        TERM: 'xterm-256color',
        ...(orch.url === undefined ? {} : { NATS_URL: orch.url }),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.raw += text;
      this.#emulator.write(text);
    });
    this.#child.stdin?.on('error', () => {});
    this.finished = new Promise(settle => this.#child.once('close', settle));
  }

  /** The lines on the screen, without what is blank at their ends. */
  get lines(): string[] {
    const { active } = this.#emulator.buffer;
    return Array.from({ length: EMULATOR.rows }, (_, y) => active.getLine(y)?.translateToString(true) ?? '');
  }

  get text(): string {
    return this.lines.join('\n').trimEnd();
  }

  /** Whether a program has the screen to itself, and what stood there before is kept. */
  get isAlternate(): boolean {
    return this.#emulator.buffer.active.type === 'alternate';
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Waits until the screen shows something; fails with what it shows. */
  async shows(pattern: RegExp, timeoutMs?: number): Promise<void> {
    await until(`${pattern} on the screen`, () => pattern.test(this.text), timeoutMs).catch(error => {
      throw new Error(`${(error as Error).message}\n${this.text}`);
    });
  }

  resize(columns: number, rows: number): void {
    const tty = readFileSync(`${this.#place}.tty`, 'utf8').trim();
    execFileSync('stty', ['-F', tty, 'rows', String(rows), 'cols', String(columns)]);
  }

  /** Sends a signal to the command. */
  kill(signal: NodeJS.Signals): void {
    process.kill(Number(readFileSync(`${this.#place}.pid`, 'utf8')), signal);
  }

  [Symbol.dispose](): void {
    // The terminal goes with it, and what runs there with the terminal.
    this.#child.kill('SIGKILL');
    this.#emulator.dispose();
  }
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
