// Newline-delimited JSON from a file or stdin, for every command that reads it. Promises:
//  1. The input is streamed: no more than a line and a chunk of it is in memory.
//  2. At most `inFlight` lines are worked on at once; the rest waits in the pipe.
//  3. Every error names the line, as `tasks.ndjson:3: ...`, and stops the reading; what stands above it is done.
// A byte order mark, CRLF, blank lines and a last line without its end are fine.
import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { messageOf, OrchError } from '../protocol/index.ts';

/** Longer than the longest valid task or record as JSON, where its text is not escaped character by character. */
export const LINE_BYTES_MAX = 1024 * 1024;
/** Default of lines that are worked on at once: enough to fill a connection. */
export const LINES_IN_FLIGHT_MAX = 256;

const NEWLINE = 0x0a;

/** Where lines come from. */
export interface LineSource {
  /** As errors show it: `tasks.ndjson`, or `stdin`. */
  name: string;
  /** The bytes; reading them throws `usage` when the file cannot be read. */
  chunks: AsyncIterable<Buffer>;
}

/** A JSON object and the position of its line, such as `tasks.ndjson:3`. */
export interface PositionedObject {
  value: object;
  at: string;
}

/** Opens the file that `--from` names; `-` is stdin. `onBytes` is called with the size of each chunk. */
export function openLines(file: string, onBytes: (bytes: number) => void = () => {}): LineSource {
  return { name: file === '-' ? 'stdin' : file, chunks: readChunks(file, onBytes) };
}

async function* readChunks(file: string, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  const source: AsyncIterable<Buffer> = file === '-' ? process.stdin : createReadStream(file);
  try {
    for await (const chunk of source) {
      onBytes(chunk.length);
      yield chunk;
    }
  } catch (error) {
    const what = file === '-' ? 'stdin' : `--from ${file}`;
    throw new OrchError('usage', `${what} cannot be read: ${messageOf(error)}`);
  }
}

/** The objects, one a line. Throws `usage` for a line that holds no JSON object, `too_large` for one over 1 MiB. */
export async function* readObjects({ name, chunks }: LineSource): AsyncGenerator<PositionedObject> {
  const splitter = new Splitter(name);
  for await (const chunk of chunks)
    for (const { text, at } of splitter.split(chunk)) yield { value: parseObject(text, at), at };
  const last = splitter.end();
  if (last) yield { value: parseObject(last.text, last.at), at: last.at };
}

interface Line {
  text: string;
  at: string;
}

/** Cuts chunks into lines, and leaves out the blank ones. */
class Splitter {
  readonly #name: string;
  #number = 0;
  /** The beginning of a line whose end is still to come. */
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(name: string) {
    this.#name = name;
  }

  *split(chunk: Buffer): Generator<Line> {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      const line = this.#take(chunk.subarray(from, to));
      from = to + 1;
      if (line) yield line;
    }
    if (from === chunk.length) return;
    const rest = chunk.subarray(from);
    // Refuses a line before its end has come: an endless one must not fill the memory.
    this.#count(rest);
    this.#parts.push(rest);
  }

  /** The last line, where no newline ends it. */
  end(): Line | undefined {
    return this.#take(Buffer.alloc(0));
  }

  #take(end: Buffer): Line | undefined {
    this.#count(end);
    const bytes = this.#parts.length === 0 ? end : Buffer.concat([...this.#parts, end]);
    const at = `${this.#name}:${++this.#number}`;
    this.#parts = [];
    this.#bytes = 0;
    const text = bytes.toString('utf8');
    // What is not UTF-8 becomes replacement characters; a text may hold some of its own.
    if (text.includes('\ufffd') && !isUtf8(bytes)) throw new OrchError('usage', `${at}: not valid UTF-8`);
    // Takes away a byte order mark and a carriage return, too.
    const trimmed = text.trim();
    return trimmed === '' ? undefined : { text: trimmed, at };
  }

  #count(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes <= LINE_BYTES_MAX) return;
    const at = `${this.#name}:${this.#number + 1}`;
    throw new OrchError('too_large', `${at}: the line is longer than ${LINE_BYTES_MAX} bytes`);
  }
}

function parseObject(text: string, at: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new OrchError('usage', `${at}: not valid JSON: ${messageOf(error)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new OrchError('usage', `${at}: not a JSON object`);
}

/**
 * Runs `use` for each line that holds an object, several at once. The first failure stops the reading; it is thrown with
 * its position when the lines in flight have ended.
 */
export async function forEachObject(
  source: LineSource,
  use: (value: object, at: string) => Promise<void>,
  inFlight = LINES_IN_FLIGHT_MAX,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: unknown;
  try {
    for await (const { value, at } of readObjects(source)) {
      if (failure !== undefined) break;
      const one: Promise<void> = use(value, at)
        .catch((error: unknown) => {
          failure ??= withPosition(error, at);
        })
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= inFlight) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure;
}

function withPosition(error: unknown, at: string): unknown {
  if (!(error instanceof OrchError)) return error;
  const advice = error.advice === undefined ? {} : { advice: error.advice };
  return new OrchError(error.code, `${at}: ${error.message}`, { ...advice, cause: error });
}
