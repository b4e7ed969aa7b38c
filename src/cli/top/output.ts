// Reads the output of tasks: the last line of each task in view, and the end of the output of the open one.
// Promise: the reads are bounded, however much a task printed.
import type { Bus } from '../../bus/index.ts';
import {
  decode,
  OUTPUT,
  OUTPUT_AGE_DAYS,
  OutputChunk,
  outputFilter,
  outputSubject,
  parseOutputSubject,
} from '../../protocol/index.ts';
import type { TaskLine } from '../../tasks/index.ts';
import type { PrintedLine } from './picture.ts';
import { printedLine } from './text.ts';

/** No screen has more rows for tasks. */
const SHOWN_MAX = 100;
/** Lines kept of an open task. */
const LINES_MAX = 500;
/** Chunks read at once to find them: one batch of the server. */
const CHUNKS_MAX = 1_000;
const FIRST_WINDOW_MS = 1_000;
const WINDOW_GROWTH = 10;

/** The last line of each task that has printed something, one small read for each. */
export async function readLastLines(bus: Bus, tasks: readonly TaskLine[]): Promise<Map<string, string>> {
  const found = await Promise.all(
    tasks.slice(0, SHOWN_MAX).map(async ({ id, attempt, node }) => {
      if (attempt === undefined || node === undefined) return [];
      // Only of this attempt: the last line of an earlier one is out of date.
      const stored = await bus.streams.last(OUTPUT, outputSubject(id, attempt, node));
      const line =
        stored &&
        tryReadChunk(stored.bytes)
          ?.lines.map(printedLine)
          .findLast(text => text.trim() !== '');
      return line ? [[id, line] as const] : [];
    }),
  );
  return new Map(found.flat());
}

/** Follows one task's output from near its end. */
export class OutputTail {
  readonly #bus: Bus;
  readonly #filter: string;
  #lines: PrintedLine[] = [];
  #seq = 0;

  constructor(bus: Bus, taskId: string) {
    this.#bus = bus;
    this.#filter = outputFilter(taskId);
  }

  /** Reads what is new since the last call, and returns the last lines, at most 500. */
  async read(): Promise<PrintedLine[]> {
    if (this.#seq === 0) await this.#readEnd();
    else await this.#readNew();
    return this.#lines;
  }

  async #readNew(): Promise<void> {
    const lines = [...this.#lines];
    for await (const stored of this.#bus.streams.range(OUTPUT, {
      filter: this.#filter,
      from: this.#seq + 1,
    })) {
      lines.push(...linesOf(stored));
      this.#seq = stored.seq;
      if (lines.length > 2 * LINES_MAX) lines.splice(0, lines.length - LINES_MAX);
    }
    this.#lines = lines.slice(-LINES_MAX);
  }

  // The server finds messages by time, not from the end. So this searches the time before the last chunk, each time
  // ten times as far back, until there are enough lines or too many chunks to read.
  async #readEnd(): Promise<void> {
    const last = await this.#bus.streams.last(OUTPUT, this.#filter);
    if (!last) return;
    this.#lines = linesOf(last);
    this.#seq = last.seq;
    let windowMs = FIRST_WINDOW_MS;
    while (this.#lines.length < LINES_MAX && windowMs < WINDOW_GROWTH * OUTPUT_AGE_DAYS * 86_400_000) {
      const chunks = await this.#window(new Date(last.time.getTime() - windowMs));
      if (chunks === 'too many') return;
      this.#lines = chunks.flatMap(linesOf).slice(-LINES_MAX);
      this.#seq = Math.max(last.seq, chunks.at(-1)?.seq ?? 0);
      windowMs *= WINDOW_GROWTH;
    }
  }

  async #window(since: Date): Promise<Chunk[] | 'too many'> {
    const chunks: Chunk[] = [];
    for await (const stored of this.#bus.streams.range(OUTPUT, { filter: this.#filter, since })) {
      if (chunks.length === CHUNKS_MAX) return 'too many';
      chunks.push(stored);
    }
    return chunks;
  }
}

type Chunk = { subject: string; seq: number; bytes: Uint8Array };

function linesOf({ subject, bytes }: Chunk): PrintedLine[] {
  const { attempt } = parseOutputSubject(subject);
  const chunk = tryReadChunk(bytes);
  if (!chunk) return [];
  const missing = chunk.dropped > 0 ? [{ attempt, text: `... ${chunk.dropped} lines omitted` }] : [];
  return [...missing, ...chunk.lines.map(line => ({ attempt, text: printedLine(line) }))];
}

function tryReadChunk(bytes: Uint8Array): OutputChunk | undefined {
  try {
    return OutputChunk.safeParse(decode(bytes)).data;
  } catch {
    return undefined;
  }
}
