// What an attempt prints, on its way to ORCH_OUTPUT: whole lines in small chunks.
// Promises: it never blocks the task; a line, a chunk, the rate and what is in flight are bounded; what is left out is
// counted in the next chunk.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { encode, OUTPUT_LINE_LENGTH_MAX, type OutputChunk, outputSubject } from '../../protocol/index.ts';

const FLUSH_MS = 50;
const CHUNK_CHARS = 32 * 1024;
const CHUNK_LINES = 256;
/** A task may print this much a second for long, and ten times as much at once. */
const CHARS_PER_SECOND = 256 * 1024;
const BURST_CHARS = 10 * CHARS_PER_SECOND;
const IN_FLIGHT_MAX = 64;
const WRITE_TIMEOUT_MS = 10_000;
/** How long the end of an attempt waits for its last lines. */
const CLOSE_MS = 2_000;

type Stream = OutputChunk['stream'];

export class OutputSink {
  readonly #bus: Bus;
  readonly #subject: string;
  readonly #onLine: () => void;
  #chunk: OutputChunk | undefined;
  #chunkChars = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #inFlight = new Set<Promise<unknown>>();
  #budget = BURST_CHARS;
  #budgetAt = performance.now();
  #dropped = 0;
  #lastLine = '';

  /** `onLine` is called for every line, for the stall limit. */
  constructor(bus: Bus, address: { taskId: string; attempt: number; actor: string }, onLine: () => void) {
    this.#bus = bus;
    this.#subject = outputSubject(address.taskId, address.attempt, address.actor);
    this.#onLine = onLine;
  }

  /** The last line on any stream: the best short word on what went wrong. */
  get lastLine(): string {
    return this.#lastLine;
  }

  line(stream: Stream, text: string): void {
    this.#onLine();
    const line =
      text.length > OUTPUT_LINE_LENGTH_MAX ? `${text.slice(0, OUTPUT_LINE_LENGTH_MAX - 1)}…` : text;
    if (line.trim() !== '') this.#lastLine = line;
    if (!this.#spend(line.length + 1)) {
      this.#dropped++;
      return;
    }
    if (this.#chunk && (this.#chunk.stream !== stream || this.#isFull())) this.#flush();
    this.#chunk ??= { at: new Date().toISOString(), stream, lines: [], dropped: this.#takeDropped() };
    this.#chunk.lines.push(line);
    this.#chunkChars += line.length;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  /** Sends what is left and waits for it, but not for long. */
  async close(): Promise<void> {
    this.#flush();
    await this.#settled();
    if (this.#dropped === 0) return;
    this.#chunk = { at: new Date().toISOString(), stream: 'log', lines: [], dropped: this.#takeDropped() };
    this.#flush();
    await this.#settled();
  }

  async #settled(): Promise<void> {
    if (this.#inFlight.size === 0) return;
    const late = new AbortController();
    await Promise.race([
      Promise.all(this.#inFlight),
      sleep(CLOSE_MS, undefined, { signal: late.signal }).catch(() => {}),
    ]);
    late.abort();
  }

  #isFull(): boolean {
    return this.#chunkChars >= CHUNK_CHARS || (this.#chunk?.lines.length ?? 0) >= CHUNK_LINES;
  }

  #takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  // A token bucket that refills with time.
  #spend(chars: number): boolean {
    const now = performance.now();
    this.#budget = Math.min(BURST_CHARS, this.#budget + ((now - this.#budgetAt) / 1_000) * CHARS_PER_SECOND);
    this.#budgetAt = now;
    if (this.#budget < chars) return false;
    this.#budget -= chars;
    return true;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const chunk = this.#chunk;
    if (!chunk) return;
    this.#chunk = undefined;
    this.#chunkChars = 0;
    const lines = chunk.lines.length + chunk.dropped;
    if (this.#inFlight.size >= IN_FLIGHT_MAX) {
      this.#dropped += lines;
      return;
    }
    const write: Promise<unknown> = this.#bus.streams
      .write(this.#subject, encode(chunk), { timeoutMs: WRITE_TIMEOUT_MS })
      .catch(() => {
        this.#dropped += lines;
      })
      .finally(() => this.#inFlight.delete(write));
    this.#inFlight.add(write);
  }
}
