// Every marked section of subjects.md, rendered from src/protocol and src/tasks.
import * as protocol from '../../src/protocol/index.ts';
import {
  AgentEntry,
  type AgentEventType,
  AgentRecord,
  Backoff,
  DrainRequest,
  ERROR_CODES,
  formatDuration,
  HoldsReply,
  JournalEntry,
  LEASE_MS_DEFAULT,
  LeaseRecord,
  laneSettings,
  NodeAgent,
  NodeEntry,
  type NodeEventType,
  NodeRecord,
  NodeReply,
  OutputChunk,
  type Priority,
  REASONS,
  ResultReference,
  streamSettings,
  TASK_EVENT_TYPES,
  TASKS,
  type TaskEventType,
  TaskMessage,
  TaskRecord,
} from '../../src/protocol/index.ts';
import * as subjects from '../../src/protocol/subjects.ts';
import { CASES, decisionRow } from './decisions.ts';
import { code, fenced, type Renderer, table, tableWithProse } from './document.ts';
import { fieldTable } from './fields.ts';
import { exampleEntry, stateDiagram, transitionRow } from './life.ts';

/** The records of an agent's memory, in the order of their tables. */
const MEMORY = pick(protocol, [
  'MemoryRecord',
  'MemoryFilter',
  'RememberRequest',
  'RememberReply',
  'RecallRequest',
  'SearchRequest',
  'RecallReply',
  'MemoryItem',
  'Timings',
  'ExpandRequest',
  'ExpandReply',
  'LinkedEntity',
  'ForgetRequest',
  'ForgetReply',
  'MemoryStatsRequest',
  'MemoryStats',
  'StatisticsRequest',
  'CorpusStatistics',
  'CandidatesRequest',
  'CandidatesReply',
  'Candidate',
  'ReadRequest',
  'ReadReply',
  'NodeStatistics',
  'NodeCandidates',
  'MissingNode',
  'GatheredReply',
]);
const RECORDS = {
  ...MEMORY,
  TaskMessage,
  Backoff,
  TaskRecord,
  JournalEntry,
  OutputChunk,
  ResultReference,
  HoldsReply,
  NodeRecord,
  NodeAgent,
  NodeEntry,
  DrainRequest,
  NodeReply,
  AgentRecord,
  AgentEntry,
  LeaseRecord,
};

type Builder = Exclude<
  keyof typeof subjects,
  `parse${string}` | 'NODE_VERBS' | 'MEMORY_VERBS' | 'MEMORIES_VERBS'
>;
const PRIORITY = '<priority>' as Priority;
/** Each builder with placeholders for its arguments. */
const PATTERNS: Record<Builder, string> = {
  taskSubject: subjects.taskSubject(PRIORITY, '<lane>', '<taskId>'),
  anyTaskSubject: subjects.anyTaskSubject('<taskId>'),
  queueFilter: subjects.queueFilter,
  laneFilter: subjects.laneFilter(PRIORITY, '<lane>'),
  laneConsumer: subjects.laneConsumer(PRIORITY, '<lane>'),
  queuedSubject: subjects.queuedSubject('<taskId>', '<actor>', subjects.laneConsumer(PRIORITY, '<lane>')),
  entrySubject: subjects.entrySubject('<taskId>', '<type>' as TaskEventType, '<actor>'),
  historyFilter: subjects.historyFilter('<taskId>'),
  decidedFilter: subjects.decidedFilter('<taskId>'),
  taskEntries: subjects.taskEntries,
  anyHistoryFilter: subjects.anyHistoryFilter('<id>'),
  journalFilter: subjects.journalFilter,
  eventsFilter: subjects.eventsFilter,
  cancelledEvents: subjects.cancelledEvents,
  taskEvents: subjects.taskEvents('<taskId>'),
  holdsSubject: subjects.holdsSubject('<node>', '<taskId>'),
  nodeEntrySubject: subjects.nodeEntrySubject('<node>', '<type>' as NodeEventType, '<actor>'),
  nodeHistoryFilter: subjects.nodeHistoryFilter('<node>'),
  nodeEntries: subjects.nodeEntries,
  lostNodeEntries: subjects.lostNodeEntries,
  agentEntrySubject: subjects.agentEntrySubject('<agent>', '<type>' as AgentEventType, '<actor>'),
  agentHistoryFilter: subjects.agentHistoryFilter('<agent>'),
  pingAllSubject: subjects.pingAllSubject,
  nodeRequestSubject: subjects.nodeRequestSubject('<node>', '<verb>' as subjects.NodeVerb),
  memorySubject: subjects.memorySubject('<agent>', '<verb>' as subjects.MemoryVerb),
  memoriesSubject: subjects.memoriesSubject('<verb>' as subjects.MemoriesVerb),
  bucketSubject: subjects.bucketSubject('<bucket>', '<key>'),
  bucketFilter: subjects.bucketFilter('<bucket>'),
  outputSubject: subjects.outputSubject('<taskId>', '<attempt>' as unknown as number, '<actor>'),
  outputFilter: subjects.outputFilter('<taskId>'),
  deadSubject: subjects.deadSubject('<taskId>'),
  boardSubject: subjects.boardSubject('<taskId>'),
};

/** By the name in their marker. */
export const SECTIONS: Record<string, Renderer> = {
  'table subjects': current =>
    tableWithProse(
      ['builder', 'subject or filter', 'what it is'],
      Object.entries(PATTERNS).map(([name, pattern]) => [code(name), code(pattern)]),
      current,
    ),
  ...Object.fromEntries(
    streamSettings().map(({ name, ...settings }) => [
      `table stream ${name}`,
      (current: string) => settingsTable(settings, current),
    ]),
  ),
  'table lane': current => settingsTable(laneSettings('medium', 'freebsd+rust', LEASE_MS_DEFAULT), current),
  'example lane': () =>
    fenced(
      'json',
      JSON.stringify({
        stream_name: TASKS,
        action: 'create',
        config: laneSettings('medium', 'freebsd+rust', LEASE_MS_DEFAULT),
      }),
    ),
  ...Object.fromEntries(
    Object.entries(RECORDS).map(([name, schema]) => [`table ${name}`, () => fieldTable(schema, RECORDS)]),
  ),
  'example entry': exampleEntry,
  'diagram states': stateDiagram,
  'table transitions': current =>
    tableWithProse(
      ['entry', 'from', 'to', 'sets', 'removes', 'cause'],
      TASK_EVENT_TYPES.map(transitionRow),
      current,
    ),
  'table reasons': current =>
    tableWithProse(
      ['reason', 'meaning', 'entry'],
      Object.entries(REASONS).map(([reason, meaning]) => [code(reason), meaning]),
      current,
    ),
  'table decisions': current =>
    tableWithProse(
      ['case', 'last state', 'queue message', 'decision', 'what to do'],
      CASES.map(decisionRow),
      current,
    ),
  'table errors': () =>
    table(
      ['code', 'exit', 'HTTP', 'meaning'],
      Object.entries(ERROR_CODES).map(([name, { exit, http, meaning }]) => [
        code(name),
        String(exit),
        String(http),
        meaning,
      ]),
    ),
  'table bounds': current =>
    tableWithProse(
      ['bound', 'value', 'why'],
      bounds().map(([name, value]) => [code(name), withUnit(name, value)]),
      current,
    ),
};

/** Those whose last column is prose. */
export const TABLES_WITH_PROSE = Object.keys(SECTIONS).filter(name =>
  /^table (subjects|stream .*|lane|transitions|reasons|decisions|bounds)$/.test(name),
);

// -- settings, in the words of the JetStream API

function settingsTable(settings: object, current: string): string {
  const rows = Object.entries(settings).map(([name, value]) => [code(name), settingText(name, value)]);
  return tableWithProse(['setting', 'value', 'why'], rows, current);
}

function settingText(name: string, value: unknown): string {
  const json = code(JSON.stringify(value));
  if (typeof value !== 'number' || value < 0) return json;
  if (/^(max_age|ack_wait|subject_delete_marker_ttl)$/.test(name))
    return `${json} ns (${formatDuration(value / 1_000_000)})`;
  return /bytes|size/.test(name) ? `${json} (${formatBytes(value)})` : json;
}

function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  const power = units.findLastIndex((_, i) => bytes >= 1024 ** i);
  return `${bytes / 1024 ** power} ${units[power]}`;
}

function bounds(): [string, number | string][] {
  return Object.entries(protocol).flatMap(([name, value]) =>
    (typeof value === 'number' || typeof value === 'string') && /_(MAX|MIN|DEFAULT|DAYS)$/.test(name)
      ? [[name, value] as [string, number | string]]
      : [],
  );
}

function withUnit(name: string, value: number | string): string {
  if (typeof value === 'string') return value;
  if (name.includes('_MS_')) return `${value} ms (${formatDuration(value)})`;
  if (name.includes('_BYTES_')) return `${value} bytes (${formatBytes(value)})`;
  return name.endsWith('_DAYS') ? `${value} days` : String(value);
}

function pick<T, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map(name => [name, from[name]])) as Pick<T, K>;
}
