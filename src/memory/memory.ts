// The memory of one agent, on the node that owns it. It answers who asks as far as the agent's visibility and each
// record's allow, and keeps to these promises:
//  1. What was acknowledged is on the disk.
//  2. What the asker may not read appears in no answer, no count and no time.
//  3. Only the agent itself writes. Reading by others changes nothing.
//  4. The event loop does not wait: the database works on threads of its own.
//  5. Every answer is bounded.
// The wire is none of its business: requests come in as data and go out as data, whatever carried them.
import {
  type CandidatesInput,
  type CandidatesReply,
  CandidatesRequest,
  type CorpusStatistics,
  type ExpandInput,
  type ExpandReply,
  ExpandRequest,
  type ForgetInput,
  type ForgetReply,
  ForgetRequest,
  type MemoryItem,
  type MemoryRecord,
  type MemoryStats,
  type MemoryStatsInput,
  MemoryStatsRequest,
  type Method,
  OrchError,
  parseAs,
  parseId,
  type ReadInput,
  type ReadReply,
  ReadRequest,
  type RecallInput,
  type RecallReply,
  RecallRequest,
  type RememberInput,
  type RememberReply,
  RememberRequest,
  type SearchInput,
  SearchRequest,
  type StatisticsInput,
  StatisticsRequest,
  type Visibility,
} from '../protocol/index.ts';
import { fitted } from './answer.ts';
import { type CandidateSource, candidatesOf, type Kind, QUESTIONS, readRecords } from './candidates.ts';
import { sql } from './database/index.ts';
import type { Embedder } from './embedder.ts';
import { copyTo, exportLines, type Imported, type ImportLine, importLines } from './exchange.ts';
import { expand } from './expand.ts';
import { noStatistics, storeStatistics } from './keyword.ts';
import { fuse } from './ranking.ts';
import { forget, remember } from './remember.ts';
import { closeStore, openStore, type Store, storeError } from './schema.ts';
import { statsOf } from './stats.ts';
import { Stopwatch } from './stopwatch.ts';
import { Vectors } from './vectors.ts';
import { type Asker, floorFor, type Policy, type Scope } from './visibility.ts';
import { Writer } from './writer.ts';

/** A record that its agent recalls is marked as used at most this often: reading should seldom write. */
const USED_AGAIN_MS = 3_600_000;

export interface MemoryOptions {
  /** The folder of all stores; this one's file is `<agent>.db`. */
  dir: string;
  agent: string;
  /** How far others may read; default `isolated`. */
  visibility?: Visibility;
  /** Whose members may read, for `group`. */
  group?: string;
  /** The group of an agent that asks, from wherever the node knows it; default: none has one. */
  groupOf?: (agent: string) => string | undefined;
  embedder?: Embedder;
  /** The node's name, for answers. */
  node?: string;
  /** For tests. */
  now?: () => Date;
}

/**
 * Opens the memory of an agent, or makes it; checks all of its file first. Throws `usage` for a file that is damaged or
 * not this agent's, `unsupported` for one of a newer orch. `close()` ends it; it is also an async disposable.
 */
export async function openMemory(options: MemoryOptions): Promise<Memory> {
  const agent = parseId(options.agent, 'agent');
  const store = await openStore(options.dir, agent);
  const writer = new Writer(store.writer);
  const vectors = options.embedder && (await Vectors.open(store, writer, options.embedder));
  vectors?.wake();
  return new Memory(store, writer, vectors, options);
}

export class Memory {
  readonly agent: string;
  readonly file: string;
  readonly #store: Store;
  readonly #writer: Writer;
  readonly #vectors: Vectors | undefined;
  readonly #policy: Policy;
  readonly #groupOf: (agent: string) => string | undefined;
  readonly #source: CandidateSource;
  readonly #now: () => Date;

  constructor(store: Store, writer: Writer, vectors: Vectors | undefined, options: MemoryOptions) {
    const { agent, visibility = 'isolated', group, groupOf = () => undefined, node } = options;
    this.agent = agent;
    this.file = store.file;
    this.#store = store;
    this.#writer = writer;
    this.#vectors = vectors;
    this.#policy = { agent, visibility, group };
    this.#groupOf = groupOf;
    const owner = { agent, ...(node === undefined ? {} : { node }) };
    this.#source = { owner, reader: store.reader, vectors };
    this.#now = options.now ?? (() => new Date());
  }

  /** What is most relevant to a query: by words and, where there is an embedder that answers, by meaning. */
  async recall(input: RecallInput): Promise<RecallReply> {
    return this.#answer('recall', parseAs(RecallRequest, input, 'recall'));
  }

  /** What contains all words of a query; `"phrases"`, `prefixes*` and `-excluded` words are understood. */
  async search(input: SearchInput): Promise<RecallReply> {
    return this.#answer('search', parseAs(SearchRequest, input, 'search'));
  }

  /** What a record or an entity is linked to. Throws `not_found`. */
  async expand(input: ExpandInput): Promise<ExpandReply> {
    const request = parseAs(ExpandRequest, input, 'expand');
    const watch = new Stopwatch();
    const floor = this.#floorOf(request.as);
    if (floor === undefined)
      throw new OrchError(
        'not_found',
        request.id === undefined
          ? `no entity ${JSON.stringify(request.entity)} in this memory`
          : `no record ${JSON.stringify(request.id)} in this memory`,
      );
    const found = await this.#guarded(
      watch.time('readMs', expand(this.#store.reader, request, floor, this.#itemOf)),
    );
    const fitting = fitted(found.items);
    return {
      ...found,
      items: fitting.items,
      omitted: found.omitted + fitting.omitted,
      timings: watch.timings,
    };
  }

  /** Adds or changes a record. Throws `denied` for another agent, `not_found`, `conflict` for a key that is taken, `too_large`. */
  async remember(input: RememberInput): Promise<RememberReply> {
    const request = parseAs(RememberRequest, input, 'remember');
    this.#refuseOthers(request.as);
    const reply = await this.#guarded(
      this.#writer.run(connection => remember(connection, request, this.#now())),
    );
    if (reply.outcome === 'created' || reply.outcome === 'updated') this.#vectors?.wake();
    return reply;
  }

  /** Removes records. Throws `denied` for another agent. */
  async forget(input: ForgetInput): Promise<ForgetReply> {
    const request = parseAs(ForgetRequest, input, 'forget');
    this.#refuseOthers(request.as);
    return this.#guarded(this.#writer.run(connection => forget(connection, request)));
  }

  /** How much there is that the asking agent may read. */
  async stats(input: MemoryStatsInput): Promise<MemoryStats> {
    const { as } = parseAs(MemoryStatsRequest, input, 'stats');
    const floor = this.#floorOf(as);
    const isOwn = as === this.agent;
    const found = await this.#guarded(statsOf(this.#store, floor, isOwn));
    const model = floor === undefined ? undefined : this.#vectors?.model;
    return { agent: this.agent, ...found, ...(model === undefined ? {} : { model }) };
  }

  /** First round of a question to many stores: what this one knows of the query's terms. */
  async statistics(input: StatisticsInput): Promise<CorpusStatistics> {
    const { as, kind, query } = parseAs(StatisticsRequest, input, 'statistics');
    const question = QUESTIONS[kind](query);
    const floor = this.#floorOf(as);
    if (floor === undefined) return noStatistics(question);
    // The next round wants its vector: the embedder computes while the other stores count.
    if (kind === 'recall') void this.#vectors?.ofQuery(query);
    return this.#guarded(storeStatistics(this.#store.reader, question, floor));
  }

  /** Second round: this store's candidates, scored with the statistics of all. See ranking.ts. */
  async candidates(input: CandidatesInput): Promise<CandidatesReply> {
    const request = parseAs(CandidatesRequest, input, 'candidates');
    const floor = this.#floorOf(request.as);
    const watch = new Stopwatch();
    if (floor === undefined) return { candidates: [], method: 'keyword', timings: watch.timings };
    const found = await this.#guarded(candidatesOf(this.#source, request, floor, watch));
    return { ...found, timings: watch.timings };
  }

  /** Third round: the contents of the best. What the asker may not read is left out like what is not there. */
  async read(input: ReadInput): Promise<ReadReply> {
    const { as, ids } = parseAs(ReadRequest, input, 'read');
    const floor = this.#floorOf(as);
    if (floor === undefined) return { items: [], omitted: 0 };
    const records = await this.#guarded(readRecords(this.#store.reader, ids, floor));
    return fitted(ids.flatMap(id => records.get(id) ?? []).map(record => this.#itemOf(record, 0)));
  }

  /** All records as lines of NDJSON, for the agent itself. */
  export(): AsyncGenerator<string> {
    return exportLines(this.#store.reader);
  }

  /** Imports the lines of an export. Throws `usage` with the position of an invalid line. */
  async import(lines: Iterable<ImportLine> | AsyncIterable<ImportLine>): Promise<Imported> {
    const imported = await this.#guarded(importLines(this.#writer, lines));
    this.#vectors?.wake();
    return imported;
  }

  /** Copies the store to a new file while it is at work. Throws `conflict` when the file exists. */
  backup(file: string): Promise<void> {
    return this.#guarded(copyTo(this.#store.file, file));
  }

  /** Waits until all records have their vectors; false when the embedder failed. True at once without one. */
  async embedded(): Promise<boolean> {
    return this.#vectors ? this.#vectors.settled() : true;
  }

  /** Ends what is under way, then closes; safe to call twice. */
  async close(): Promise<void> {
    await this.#vectors?.close();
    await this.#writer.settled();
    await closeStore(this.#store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // One store alone: the rounds of a question to many, without the wire between them.
  async #answer(kind: Kind, request: RecallRequest): Promise<RecallReply> {
    const floor = this.#floorOf(request.as);
    const watch = new Stopwatch();
    if (floor === undefined) return { items: [], omitted: 0, method: 'keyword', timings: watch.timings };
    const now = this.#now();
    const { best, method } = await this.#guarded(this.#best(kind, request, floor, now, watch));
    const records = await this.#guarded(
      watch.time('readMs', readRecords(this.#store.reader, [...best.keys()], floor)),
    );
    // Forgotten since it was ranked: then it is no answer.
    const items = [...best].flatMap(([id, score]) => {
      const record = records.get(id);
      return record ? [this.#itemOf(record, score)] : [];
    });
    if (request.as === this.agent) this.#markUsed(items, now);
    return { ...fitted(items), method, timings: watch.timings };
  }

  async #best(
    kind: Kind,
    request: RecallRequest,
    floor: Scope,
    now: Date,
    watch: Stopwatch,
  ): Promise<{ best: Map<string, number>; method: Method }> {
    const statistics = await watch.time(
      'keywordMs',
      storeStatistics(this.#store.reader, QUESTIONS[kind](request.query), floor),
    );
    const asked = { ...request, kind, statistics };
    const { candidates, method } = await candidatesOf(this.#source, asked, floor, watch);
    const { best } = fuse(candidates, { limit: request.limit, now: now.getTime() });
    return { best: new Map(best.map(({ candidate, score }) => [candidate.id, score])), method };
  }

  readonly #itemOf = (record: MemoryRecord, score: number): MemoryItem => ({
    ...record,
    score,
    ...this.#source.owner,
  });

  // Nobody waits for it, and where it is lost a record is a little less recent than it was.
  #markUsed(items: readonly MemoryItem[], now: Date): void {
    const ids = items
      .filter(({ lastUsedAt }) => now.getTime() - Date.parse(lastUsedAt) > USED_AGAIN_MS)
      .map(({ id }) => id);
    if (ids.length === 0) return;
    const mark = sql`UPDATE records SET used_at = ${now.getTime()} WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
    this.#writer.run(connection => connection.all(mark)).catch(() => {});
  }

  #floorOf(agent: string): Scope | undefined {
    const asker: Asker = { agent, group: this.#groupOf(agent) };
    return floorFor(this.#policy, asker);
  }

  #refuseOthers(agent: string): void {
    if (agent !== this.agent)
      throw new OrchError('denied', `agent ${agent} may not write to the memory of agent ${this.agent}`);
  }

  // What the database says of its file is said with the file's name.
  async #guarded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw storeError(error, this.agent, this.file);
    }
  }
}
