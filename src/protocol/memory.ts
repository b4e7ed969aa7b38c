// An agent's memory as data: the record, and each question with its answer. Every question names the agent that asks,
// because what it may see depends on that. Unknown fields of a record are kept, so that a newer client loses nothing.
import * as z from 'zod';
import { ID_LENGTH_MAX, isId } from './names.ts';
import { VISIBILITIES } from './node.ts';
import { timestamp } from './time.ts';

export const CONTENT_BYTES_MAX = 16 * 1024;
export const QUERY_LENGTH_MAX = 4_096;
/** Different words of a query that count; the first ones do. */
export const QUERY_TERMS_MAX = 32;
export const TAGS_MAX = 32;
export const LINKS_MAX = 64;
export const NAME_LENGTH_MAX = 128;
export const RECALL_LIMIT_DEFAULT = 10;
export const RECALL_LIMIT_MAX = 100;
export const EXPAND_TOKENS_DEFAULT = 2_000;
export const EXPAND_TOKENS_MAX = 10_000;
export const FORGET_MAX = 1_000;
export const RECORDS_MAX = 1_000_000;
export const EXTRA_BYTES_MAX = 4_096;
export const MEMORY_ANSWER_BYTES_MAX = 256 * 1024;

/** `hybrid` joined words with vectors; `keyword` went by words alone, for want of an embedder or of its answer. */
export const METHODS = ['hybrid', 'keyword'] as const;
export type Method = (typeof METHODS)[number];

// SQLite ends a text at a NUL, and half of a surrogate pair is nothing that UTF-8 can carry.
const UNSTORABLE = /[\0\p{Cs}]/u;
const text = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .refine(value => !UNSTORABLE.test(value), 'must be text, without NUL and without half characters');

const id = () =>
  z.string().refine(isId, `must match [A-Za-z0-9][A-Za-z0-9_-]*, at most ${ID_LENGTH_MAX} characters`);
const names = (max: number) =>
  z
    .array(text(NAME_LENGTH_MAX))
    .max(max)
    .transform(list => [...new Set(list)]);

const content = () =>
  text(CONTENT_BYTES_MAX).refine(
    value => Buffer.byteLength(value) <= CONTENT_BYTES_MAX,
    `at most ${CONTENT_BYTES_MAX} bytes`,
  );

/** What a record says of itself: shared by the record and the request to remember it. */
const attributes = {
  content: content().describe('what is remembered: text of at most 16 KiB'),
  type: text(NAME_LENGTH_MAX).default('note').describe('a word for the kind, such as `fact` or `decision`'),
  tags: names(TAGS_MAX).default([]).describe('words to filter by, without repeats'),
  links: names(LINKS_MAX)
    .default([])
    .describe('entities (people, repositories, files) or ids of records that it is about'),
  importance: z.number().min(0).max(1).default(0.5).describe('moves it up or down in answers'),
  pinned: z.boolean().default(false).describe('moves it up, and a filter does not forget it'),
  source: text(1_024).optional().describe('where it comes from'),
  visibility: z
    .enum(VISIBILITIES)
    .optional()
    .describe('narrows who may read it to less than the agent allows; never widens it'),
  key: text(NAME_LENGTH_MAX).optional().describe('its name within the agent: at most one record has it'),
};

export const MemoryRecord = z
  .looseObject({
    id: id().describe('its id, unique within the agent'),
    ...attributes,
    createdAt: timestamp().describe('when it was first remembered'),
    lastUsedAt: timestamp().describe('when its agent last recalled it, to the hour, or it was last written'),
    version: z.int().min(1).describe('counts its writes from 1'),
  })
  .describe('One record of an agent’s memory; also a line of an export.');
export type MemoryRecord = z.infer<typeof MemoryRecord>;

const as = () => id().describe('the agent that asks');

const filters = {
  type: text(NAME_LENGTH_MAX).optional().describe('only this type'),
  tags: names(TAGS_MAX).optional().describe('only with all of these tags'),
  since: timestamp().optional().describe('only created at or after'),
  until: timestamp().optional().describe('only created before'),
  importanceMin: z.number().min(0).max(1).optional().describe('only of at least this importance'),
  pinned: z.boolean().optional().describe('only pinned ones, or only others'),
};

export const MemoryFilter = z.looseObject(filters).describe('Which records; all conditions must hold.');
export type MemoryFilter = z.infer<typeof MemoryFilter>;

const question = {
  as: as(),
  query: z.string().min(1).max(QUERY_LENGTH_MAX).describe('what is asked, in words'),
  limit: z.int().min(1).max(RECALL_LIMIT_MAX).default(RECALL_LIMIT_DEFAULT).describe('items at most'),
  ...filters,
};

export const RecallRequest = z
  .looseObject(question)
  .describe('Asks for what is most relevant: by words and, where there is an embedder, by meaning.');
export type RecallRequest = z.infer<typeof RecallRequest>;
export type RecallInput = z.input<typeof RecallRequest>;

export const SearchRequest = z
  .looseObject(question)
  .describe(
    'Asks for what contains all of the words, `"phrases"` and `prefixes*`, and none of the `-excluded` ones.',
  );
export type SearchRequest = z.infer<typeof SearchRequest>;
export type SearchInput = z.input<typeof SearchRequest>;

export const MemoryItem = z
  .looseObject({
    ...MemoryRecord.shape,
    content: z.string().describe('as remembered, or its beginning where `truncated`'),
    truncated: z.boolean().optional().describe('the answer had no room for all of the content'),
    score: z.number().describe('comparable within one answer; more is better'),
    agent: z.string().describe('the agent that owns it'),
    node: z.string().optional().describe('the node that answered'),
  })
  .describe('A record in an answer.');
export type MemoryItem = z.infer<typeof MemoryItem>;

export const Timings = z
  .looseObject({
    embedMs: z.number().describe('waiting for the embedder'),
    keywordMs: z.number().describe('statistics and ranking by words'),
    vectorMs: z.number().describe('ranking by vectors'),
    readMs: z.number().describe('reading what is answered'),
    totalMs: z.number().describe('all of it'),
  })
  .describe('Where the time went.');
export type Timings = z.infer<typeof Timings>;

export const RecallReply = z
  .looseObject({
    items: z.array(MemoryItem).describe('best first'),
    omitted: z.int().describe('items that the answer had no room for'),
    method: z.enum(METHODS).describe('how it was ranked'),
    timings: Timings.describe('see Timings'),
  })
  .describe('The answer to recall and search.');
export type RecallReply = z.infer<typeof RecallReply>;

export const ExpandRequest = z
  .looseObject({
    as: as(),
    id: id().optional().describe('a record to start from'),
    entity: text(NAME_LENGTH_MAX).optional().describe('an entity to start from'),
    maxTokens: z
      .int()
      .min(1)
      .max(EXPAND_TOKENS_MAX)
      .default(EXPAND_TOKENS_DEFAULT)
      .describe('budget of the contents; a token is taken as four characters'),
  })
  .refine(
    request => (request.id === undefined) !== (request.entity === undefined),
    'give either id or entity',
  )
  .describe('Asks for what a record or an entity is linked to.');
export type ExpandRequest = z.infer<typeof ExpandRequest>;
export type ExpandInput = z.input<typeof ExpandRequest>;

export const LinkedEntity = z
  .looseObject({
    name: z.string().describe('entity'),
    records: z.int().describe('how many of the records reached link to it'),
  })
  .describe('An entity in an answer.');
export type LinkedEntity = z.infer<typeof LinkedEntity>;

export const ExpandReply = z
  .looseObject({
    entities: z.array(LinkedEntity).describe('entities that the records reached link to, most records first'),
    items: z.array(MemoryItem).describe('records linked to; the one that was started from is first'),
    tokens: z.int().describe('tokens of the contents'),
    omitted: z.int().describe('linked records that had no room'),
    timings: Timings.describe('see Timings'),
  })
  .describe('The answer to expand.');
export type ExpandReply = z.infer<typeof ExpandReply>;

export const RememberRequest = z
  .looseObject({
    as: as(),
    ...attributes,
    id: id().optional().describe('the record to change; it must exist'),
    ifVersion: z
      .int()
      .min(0)
      .optional()
      .describe('write only if the record has this version; 0 = only if there is none'),
  })
  .describe('Adds a record, or changes the one with that id or key. Only the agent itself may.');
export type RememberRequest = z.infer<typeof RememberRequest>;
export type RememberInput = z.input<typeof RememberRequest>;

export const RememberReply = z
  .looseObject({
    outcome: z
      .enum(['created', 'updated', 'unchanged', 'conflict'])
      .describe('`unchanged`: it was remembered already; `conflict`: the version is not `ifVersion`'),
    id: z.string().optional().describe('the record; absent for a conflict with a record that is not there'),
    version: z.int().describe('its version now; 0 if there is none'),
    deduped: z.boolean().describe('nothing was written, because the same is there'),
  })
  .describe('The answer to remember.');
export type RememberReply = z.infer<typeof RememberReply>;

const isCondition = (filter: object): boolean =>
  Object.keys(filter).length > 0 && Object.keys(filter).every(key => key in filters);

export const ForgetRequest = z
  .looseObject({
    as: as(),
    id: id().optional().describe('the record to forget'),
    key: text(NAME_LENGTH_MAX).optional().describe('the record to forget, by its key'),
    ifVersion: z.int().min(1).optional().describe('only if the record has this version'),
    filter: MemoryFilter.optional().describe(
      'the records to forget; pinned ones only where it asks for them',
    ),
  })
  .refine(
    ({ id, key, filter }) => [id, key, filter].filter(way => way !== undefined).length === 1,
    'give one of id, key and filter',
  )
  .refine(({ filter }) => filter === undefined || isCondition(filter), {
    // What is misspelt would match everything.
    message: `a filter has at least one condition, and no others than ${Object.keys(filters).join(', ')}`,
    path: ['filter'],
  })
  .refine(({ filter, ifVersion }) => filter === undefined || ifVersion === undefined, {
    message: 'a filter takes no ifVersion',
    path: ['ifVersion'],
  })
  .describe('Removes records. Only the agent itself may.');
export type ForgetRequest = z.infer<typeof ForgetRequest>;
export type ForgetInput = z.input<typeof ForgetRequest>;

export const ForgetReply = z
  .looseObject({
    outcome: z.enum(['forgotten', 'none', 'conflict']).describe('what came of it'),
    ids: z.array(z.string()).describe('the records that were removed'),
    more: z.boolean().describe('the filter matches more than one request removes; ask again'),
    version: z.int().optional().describe('the record’s version, for a conflict'),
  })
  .describe('The answer to forget.');
export type ForgetReply = z.infer<typeof ForgetReply>;

export const MemoryStatsRequest = z
  .looseObject({ as: as() })
  .describe('Asks how much there is that the asking agent may read.');
export type MemoryStatsRequest = z.infer<typeof MemoryStatsRequest>;
export type MemoryStatsInput = z.input<typeof MemoryStatsRequest>;

export const MemoryStats = z
  .looseObject({
    agent: z.string().describe('whose memory'),
    records: z.int().describe('records'),
    types: z.record(z.string(), z.int()).describe('records of each type'),
    entities: z.int().describe('entities and records that are linked to'),
    oldest: timestamp().optional().describe('creation of the oldest record'),
    newest: timestamp().optional().describe('creation of the newest record'),
    embedded: z.int().describe('records with a vector'),
    model: z.string().optional().describe('the embedder’s model'),
    fileBytes: z.int().optional().describe('size of the store; told to its own agent alone'),
  })
  .describe('The answer to stats.');
export type MemoryStats = z.infer<typeof MemoryStats>;

// -- for asking many stores at once

export const CorpusStatistics = z
  .looseObject({
    documents: z.int().min(0).describe('readable records'),
    length: z.int().min(0).describe('words in them'),
    frequencies: z
      .record(z.string(), z.int().min(0))
      .describe('for each term of the query, a prefix with its `*`: readable records that contain it'),
  })
  .describe('What ranking by words must know of the whole corpus. Those of several stores add up.');
export type CorpusStatistics = z.infer<typeof CorpusStatistics>;

export const StatisticsRequest = z
  .looseObject({
    as: as(),
    kind: z.enum(['recall', 'search']).describe('how the query is read'),
    query: question.query,
  })
  .describe('First round of a question to many: asks for CorpusStatistics.');
export type StatisticsRequest = z.infer<typeof StatisticsRequest>;
export type StatisticsInput = z.input<typeof StatisticsRequest>;

export const CandidatesRequest = z
  .looseObject({
    ...question,
    kind: z.enum(['recall', 'search']).describe('how the query is read'),
    statistics: CorpusStatistics.describe('those of all stores, added up; see CorpusStatistics'),
  })
  .describe('Second round: asks for the Candidates.');
export type CandidatesRequest = z.infer<typeof CandidatesRequest>;
export type CandidatesInput = z.input<typeof CandidatesRequest>;

export const Candidate = z
  .looseObject({
    id: z.string().describe('record id'),
    agent: z.string().describe('the agent that owns it'),
    node: z.string().optional().describe('the node that answered'),
    keywordScore: z.number().optional().describe('BM25, if it is among the best by words'),
    vectorScore: z.number().optional().describe('cosine similarity, if it is among the best by vectors'),
    model: z.string().optional().describe('whose vectors: only those of one model can be compared'),
    importance: z.number().describe('of the record'),
    pinned: z.boolean().describe('of the record'),
    lastUsedAt: timestamp().describe('of the record'),
  })
  .describe('A record that may be among the answers, without its content.');
export type Candidate = z.infer<typeof Candidate>;

export const CandidatesReply = z
  .looseObject({
    candidates: z.array(Candidate).describe('in no order'),
    method: z.enum(METHODS).describe('how this store ranked'),
    timings: Timings.describe('see Timings'),
  })
  .describe('The answer to CandidatesRequest.');
export type CandidatesReply = z.infer<typeof CandidatesReply>;

export const ReadReply = z
  .looseObject({
    items: z
      .array(MemoryItem)
      .describe('those that the asker may read, in the order asked for, with score 0'),
    omitted: z.int().describe('items that the answer had no room for'),
  })
  .describe('The answer to ReadRequest.');
export type ReadReply = z.infer<typeof ReadReply>;

export const ReadRequest = z
  .looseObject({
    as: as(),
    ids: z.array(id()).max(RECALL_LIMIT_MAX).describe('records'),
  })
  .describe('Third round: asks the owner of the best for their contents.');
export type ReadRequest = z.infer<typeof ReadRequest>;
export type ReadInput = z.input<typeof ReadRequest>;

// -- what goes from node to node around them

export const GATHER_MS_DEFAULT = 500;
export const GATHER_NODES_MAX = 256;

const unread = {
  unread: z
    .array(z.looseObject({ agent: z.string(), why: z.string() }))
    .default([])
    .describe('agents that the asker may read and whose memory failed: `agent` and `why`'),
};

export const NodeStatistics = z
  .looseObject({
    node: z.string().describe('the node that answers'),
    statistics: CorpusStatistics.describe(
      'of all of its agents that the asker may read; see CorpusStatistics',
    ),
    ...unread,
  })
  .describe('What a node answers on `agents.statistics`.');
export type NodeStatistics = z.infer<typeof NodeStatistics>;

export const NodeCandidates = z
  .looseObject({
    node: z.string().describe('the node that answers'),
    ...CandidatesReply.shape,
    ...unread,
  })
  .describe('What a node answers on `agents.candidates`, for all of its agents that the asker may read.');
export type NodeCandidates = z.infer<typeof NodeCandidates>;

export const MISSING = {
  late: 'it is there, and did not answer in time',
  incompatible: 'it speaks no protocol of the asker',
  lost: 'it was lost, and its agents with it',
  failed: 'its record or the memory of one of its agents cannot be read',
} as const;
export type Missing = keyof typeof MISSING;

export const MissingNode = z
  .looseObject({
    node: z.string().describe('whose agents are not in the answer'),
    why: z.enum(Object.keys(MISSING) as [Missing, ...Missing[]]).describe('why not'),
    detail: z.string().optional().describe('the reason in its own words, for people'),
  })
  .describe('A node that should be in a gathered answer and is not.');
export type MissingNode = z.infer<typeof MissingNode>;

export const GatheredReply = z
  .looseObject({
    ...RecallReply.shape,
    partial: z.boolean().describe('some node is missing'),
    nodes: z.int().describe('nodes that answered'),
    missing: z.array(MissingNode).describe('those that did not, see MissingNode'),
  })
  .describe('The answer to a question to many, as the one who gathered it gives it.');
export type GatheredReply = z.infer<typeof GatheredReply>;
