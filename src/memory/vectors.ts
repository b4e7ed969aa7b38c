// The vectors of one memory: made behind the writes, asked beside the words. A memory never waits for its embedder: a
// record without a vector is found by its words, a query whose vector does not come in time goes by words alone, and an
// embedder that failed is left alone for a while.
// Every vector of the readable scopes is compared: an index of near neighbours is quicker over 10^5 of them, but what it
// finds depends on what else is in it, and answers would depend on where a record lies.
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemoryFilter } from '../protocol/index.ts';
import { OrchError } from '../protocol/index.ts';
import { type Connection, every, NOTHING, numberOf, type Row, sql, textOf } from './database/index.ts';
import { EMBED_BATCH_MAX, type Embedder } from './embedder.ts';
import { SCORE_UNIT, windowOf } from './ranking.ts';
import { filterOf } from './records.ts';
import type { Store } from './schema.ts';
import type { Scope } from './visibility.ts';
import type { Writer } from './writer.ts';

/** What a recall waits for the vector of its query: words alone are better than a late answer. */
export const QUERY_EMBED_MS = 300;
/** What a batch of records may take; nobody waits for it. */
const RECORDS_EMBED_MS = 60_000;
/** How long a failed embedder is left alone: first, and at most. */
const PAUSE_MS = 2_000;
const PAUSE_MS_MAX = 120_000;
/** Queries whose vectors are kept: agents ask the same things again. */
const CACHED_MAX = 1_000;

/** `records.has_vector` */
const WANTED = 0;
const THERE = 1;
const REFUSED = 2;

export interface VectorHit {
  row: Row;
  vectorScore: number;
}

export class Vectors {
  readonly #store: Store;
  readonly #writer: Writer;
  readonly #embedder: Embedder;
  readonly #cached = new Map<string, Float32Array>();
  /** Queries whose vectors are on their way. */
  readonly #asked = new Map<string, Promise<Float32Array | undefined>>();
  readonly #closing = new AbortController();
  #dimensions: number | undefined;
  #work: Promise<void> | undefined;
  #isMoreWanted = false;
  /** In a row, of queries and batches; and batches over all. */
  #failures = 0;
  #failedBatches = 0;
  #pausedUntil = 0;

  private constructor(store: Store, writer: Writer, embedder: Embedder, dimensions: number | undefined) {
    this.#store = store;
    this.#writer = writer;
    this.#embedder = embedder;
    this.#dimensions = dimensions;
  }

  /** Takes the store's vectors over if they are of this model, else throws them away, to be made anew. */
  static async open(store: Store, writer: Writer, embedder: Embedder): Promise<Vectors> {
    const dimensions = await writer.run(async connection => {
      const [row] = await connection.all(sql`SELECT value FROM meta WHERE name = 'model'`);
      if (textOf(row, 'value') !== embedder.model) {
        await connection.all(sql`DELETE FROM vectors`);
        await connection.all(sql`UPDATE records SET has_vector = ${WANTED}`);
        await connection.all(sql`DELETE FROM meta WHERE name = 'dimensions'`);
        await connection.all(sql`INSERT OR REPLACE INTO meta VALUES ('model', ${embedder.model})`);
      }
      return numberOf(
        (await connection.all(sql`SELECT value FROM meta WHERE name = 'dimensions'`))[0],
        'value',
      );
    });
    return new Vectors(store, writer, embedder, dimensions || undefined);
  }

  get model(): string {
    return this.#embedder.model;
  }

  /** The vector of a query, or undefined when there is none in time. */
  ofQuery(query: string): Promise<Float32Array | undefined> {
    const known = this.#cached.get(query);
    if (known) return Promise.resolve(known);
    let asked = this.#asked.get(query);
    if (!asked) {
      asked = this.#askFor(query).finally(() => this.#asked.delete(query));
      this.#asked.set(query, asked);
    }
    return asked;
  }

  async #askFor(query: string): Promise<Float32Array | undefined> {
    if (performance.now() < this.#pausedUntil) return undefined;
    try {
      const [vector] = await this.#embed([query], QUERY_EMBED_MS);
      if (vector === undefined) return undefined;
      if (this.#cached.size >= CACHED_MAX) this.#cached.clear();
      this.#cached.set(query, vector);
      this.#failures = 0;
      return vector;
    } catch (error) {
      // A query that is refused says nothing about the next one.
      if (!isRefusal(error)) this.#pause();
      return undefined;
    }
  }

  /** The best of this store by vectors: rows of `records` with their scores. */
  async hits(
    connection: Connection,
    vector: Float32Array,
    { floor, filter, limit }: { floor: Scope; filter: MemoryFilter; limit: number },
  ): Promise<VectorHit[]> {
    if (vector.length !== this.#dimensions) return [];
    const conditions = filterOf(filter);
    const filtered =
      conditions.length === 0
        ? NOTHING
        : sql`CROSS JOIN records r ON r.record = (v.place & ((1 << 40) - 1)) AND ${every(conditions)}`;
    const rows = await connection.all(sql`
      WITH best AS MATERIALIZED (
        SELECT v.place, v.id,
          CAST((1 - vector_distance_cos(v.vector, vector8(${bufferOf(vector)}))) * ${SCORE_UNIT} AS INTEGER) AS score
        FROM vectors v ${filtered}
        WHERE v.place >= (${floor} << 40)
        ORDER BY score DESC, v.id LIMIT ${windowOf(limit)})
      SELECT r.id, r.importance, r.pinned, r.used_at, b.score
      FROM best b CROSS JOIN records r ON r.record = (b.place & ((1 << 40) - 1)) WHERE b.score > 0`);
    return rows.map(row => ({ row, vectorScore: numberOf(row, 'score') / SCORE_UNIT }));
  }

  /** There may be records without a vector. */
  wake(): void {
    this.#isMoreWanted = true;
    this.#work ??= this.#embedAll().finally(() => {
      this.#work = undefined;
    });
  }

  /** Waits until every record has its vector, or the embedder failed; true when they have. */
  async settled(): Promise<boolean> {
    this.wake();
    const failed = this.#failedBatches;
    while (this.#work && this.#failedBatches === failed) await Promise.race([this.#work, sleep(5)]);
    return this.#failedBatches === failed;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#work;
  }

  async #embedAll(): Promise<void> {
    while (this.#isMoreWanted && !this.#closing.signal.aborted) {
      this.#isMoreWanted = false;
      try {
        while (await this.#embedSome()) if (this.#closing.signal.aborted) return;
        this.#failures = 0;
      } catch {
        if (this.#closing.signal.aborted) return;
        this.#pause();
        this.#failedBatches++;
        this.#isMoreWanted = true;
        const pauseMs = this.#pausedUntil - performance.now();
        // A process that has nothing else to do need not stay for this.
        await sleep(pauseMs, undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
      }
    }
  }

  async #embedSome(): Promise<boolean> {
    const rows = await this.#store.reader.all(sql`
      SELECT record, version, content FROM records WHERE has_vector = ${WANTED} ORDER BY record LIMIT ${EMBED_BATCH_MAX}`);
    if (rows.length === 0) return false;
    await this.#embedRows(rows);
    return true;
  }

  // Where a batch is refused, each text is tried alone, so that one does not keep the others from their vectors.
  async #embedRows(rows: readonly Row[]): Promise<void> {
    let vectors: Float32Array[];
    try {
      vectors = await this.#embed(
        rows.map(row => textOf(row, 'content')),
        RECORDS_EMBED_MS,
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (rows.length === 1) await this.#writer.run(connection => this.#mark(connection, rows[0], REFUSED));
      else for (const row of rows) await this.#embedRows([row]);
      return;
    }
    await this.#writer.run(async connection => {
      for (const [i, row] of rows.entries()) {
        // Changed or forgotten meanwhile: then this is the vector of something else.
        const [marked] = await this.#mark(connection, row, THERE);
        const vector = vectors[i];
        if (!marked || !vector) continue;
        const place = numberOf(marked, 'place');
        await connection.all(sql`
          INSERT OR REPLACE INTO vectors VALUES (${place}, ${textOf(marked, 'id')}, vector8(${bufferOf(vector)}))`);
      }
    });
  }

  #mark(connection: Connection, row: Row | undefined, state: number): Promise<Row[]> {
    return connection.all(sql`
      UPDATE records SET has_vector = ${state} WHERE record = ${numberOf(row, 'record')} AND version = ${numberOf(row, 'version')}
      RETURNING id, (scope << 40) + record AS place`);
  }

  // Vectors of another size than the store's cannot be compared with them.
  async #embed(texts: readonly string[], timeoutMs: number): Promise<Float32Array[]> {
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal]);
    const vectors = await Promise.race([this.#embedder.embed(texts, signal), abortOf(signal)]);
    for (const vector of vectors) {
      if (this.#dimensions === undefined) await this.#keepDimensions(vector.length);
      if (vector.length !== this.#dimensions)
        throw new OrchError(
          'unavailable',
          `embedder ${this.model}: vectors of ${vector.length} numbers, the memory has ones of ${this.#dimensions}`,
        );
    }
    return vectors;
  }

  async #keepDimensions(dimensions: number): Promise<void> {
    this.#dimensions = dimensions;
    await this.#writer.run(connection =>
      connection.all(sql`INSERT OR REPLACE INTO meta VALUES ('dimensions', ${String(dimensions)})`),
    );
  }

  #pause(): void {
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** this.#failures);
    this.#failures++;
    this.#pausedUntil = performance.now() + pauseMs;
  }
}

const bufferOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

const isRefusal = (error: unknown): boolean => error instanceof OrchError && error.code === 'usage';

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(new OrchError('unavailable', 'the embedder did not answer in time'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
