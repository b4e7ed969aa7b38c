// Paints frames on the alternate screen of the terminal; leaving it restores what was shown before.
// Promises: a frame is painted from the top, line by line, and only the lines that changed; nothing is written outside
// the screen; `leave` can be called twice.
import { Writable } from 'node:stream';

const ALTERNATE = '\u001b[?1049h';
const MAIN = '\u001b[?1049l';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
// A character that is wider than expected must not push the rest of a line to the next.
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';
const CLEAR = '\u001b[2J';

/** Assumed for a terminal that does not report its size. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

/**
 * Takes whole frames, each replacing the one before. Ink's own painter moves relative to where it assumes the cursor,
 * which is wrong after a resize, and clears the user's scrollback.
 */
export class Screen extends Writable {
  readonly #terminal: NodeJS.WriteStream;
  #painted: string[] = [];
  #isOpen = false;

  constructor(terminal: NodeJS.WriteStream) {
    super({ decodeStrings: false });
    this.#terminal = terminal;
  }

  get columns(): number {
    return this.#terminal.columns || COLUMNS_DEFAULT;
  }

  get rows(): number {
    return this.#terminal.rows || ROWS_DEFAULT;
  }

  enter(): void {
    this.#isOpen = true;
    this.#terminal.write(`${ALTERNATE}${HIDE_CURSOR}${NO_WRAP}${CLEAR}`);
  }

  leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#terminal.write(`${WRAP}${SHOW_CURSOR}${MAIN}`);
  }

  /** Clears the screen after a resize, which moves lines: the next frame is painted in full. */
  wipe(): void {
    if (!this.#isOpen) return;
    this.#painted = [];
    this.#terminal.write(CLEAR);
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    const text = String(chunk);
    if (this.#isOpen && text !== '') this.#paint(text.split('\n').slice(0, this.rows));
    done();
  }

  #paint(lines: string[]): void {
    // Erases a line before it writes it: after a full line the cursor is still on the last character.
    const changed = lines.flatMap((line, i) =>
      line === this.#painted[i] ? [] : [`\u001b[${i + 1};1H\u001b[K${line}`],
    );
    const isShorter = lines.length < this.#painted.length;
    if (isShorter) changed.push(`\u001b[${lines.length + 1};1H\u001b[J`);
    this.#painted = lines;
    if (changed.length > 0) this.#terminal.write(changed.join(''));
  }
}
