// Every subject of orch, as builders and parsers. Above each builder stands the subject that it renders.
import { isId, isPriority, PRIORITIES, type Priority } from './names.ts';
import type { AgentEventType, NodeEventType } from './node.ts';
import type { TaskEventType } from './task.ts';

/** `tasks.medium.freebsd+rust.t-1` */
export const taskSubject = (priority: Priority, lane: string, taskId: string): string =>
  `tasks.${priority}.${lane}.${taskId}`;

/** `tasks.*.*.t-1`: the one message of a task, whatever its lane */
export const anyTaskSubject = (taskId: string): string => `tasks.*.*.${taskId}`;

/** `tasks.>`: all messages of the queue */
export const queueFilter = 'tasks.>';

/** `tasks.medium.freebsd+rust.*`: what one lane's consumer delivers */
export const laneFilter = (priority: Priority, lane: string): string => `tasks.${priority}.${lane}.*`;

/** `medium_freebsd+rust`: the durable name of a lane's consumer */
export const laneConsumer = (priority: Priority, lane: string): string => `${priority}_${lane}`;

/** `journal.task.t-1.queued.alice.medium_freebsd+rust`: one token more than all other entries, see `decidedFilter` */
export const queuedSubject = (taskId: string, actor: string, consumer: string): string =>
  `journal.task.${taskId}.queued.${actor}.${consumer}`;

/** `journal.task.t-1.done.node-a` */
export const entrySubject = (taskId: string, type: TaskEventType, actor: string): string =>
  `journal.task.${taskId}.${type}.${actor}`;

/** `journal.task.t-1.>`: all entries of a task */
export const historyFilter = (taskId: string): string => `journal.task.${taskId}.>`;

/**
 * `journal.task.t-1.*.*`: all entries of a task but its first `queued`. Every compare-and-set of a task's life uses
 * this one filter: a first claim expects nothing there, which one round trip decides against other claims and cancels.
 */
export const decidedFilter = (taskId: string): string => `journal.task.${taskId}.*.*`;

/** `journal.task.>`: all entries of all tasks */
export const taskEntries = 'journal.task.>';

/** `journal.*.t-1.>`: all entries of a task, a node or an agent */
export const anyHistoryFilter = (id: string): string => `journal.*.${id}.>`;

/** `journal.>`: all entries */
export const journalFilter = 'journal.>';

/** `events.>`: what the journal accepted, as it is republished */
export const eventsFilter = 'events.>';

/** `events.task.*.cancelled.*` */
export const cancelledEvents = 'events.task.*.cancelled.*';

/** `events.task.t-1.*.*`: all that happens to a task but its publish */
export const taskEvents = (taskId: string): string => `events.task.${taskId}.*.*`;

/** `node.node-a.holds.t-1`: a request to a worker, whether it is at work on a task; see HoldsReply */
export const holdsSubject = (node: string, taskId: string): string => `node.${node}.holds.${taskId}`;

/** `journal.node.node-a.online.node-a` */
export const nodeEntrySubject = (node: string, type: NodeEventType, actor: string): string =>
  `journal.node.${node}.${type}.${actor}`;

/** `journal.node.node-a.*.*`: all that happened to a node, and the one filter of its compare-and-sets */
export const nodeHistoryFilter = (node: string): string => `journal.node.${node}.*.*`;

/** `journal.node.>`: all entries of all nodes */
export const nodeEntries = 'journal.node.>';

/** `journal.node.*.lost.*` */
export const lostNodeEntries = 'journal.node.*.lost.*';

/** `journal.agent.alice.owned.node-a` */
export const agentEntrySubject = (agent: string, type: AgentEventType, actor: string): string =>
  `journal.agent.${agent}.${type}.${actor}`;

/** `journal.agent.alice.*.*`: all entries of an agent, and the one filter of its compare-and-sets */
export const agentHistoryFilter = (agent: string): string => `journal.agent.${agent}.*.*`;

/** `nodes.ping`: a request that every node answers; see NodeReply */
export const pingAllSubject = 'nodes.ping';

/** `node.node-a.drain`: a request to one node; see NodeReply */
export const nodeRequestSubject = (node: string, verb: NodeVerb): string => `node.${node}.${verb}`;

/** What a node is asked: whether it is there, to take no more tasks, to take tasks again. */
export const NODE_VERBS = ['ping', 'drain', 'pause', 'resume'] as const;
export type NodeVerb = (typeof NODE_VERBS)[number];

/** `agent.alice.recall`: a question to an agent's memory, which its owner alone answers */
export const memorySubject = (agent: string, verb: MemoryVerb): string => `agent.${agent}.${verb}`;

/** What an agent's memory is asked. */
export const MEMORY_VERBS = ['recall', 'search', 'expand', 'remember', 'forget', 'stats', 'read'] as const;
export type MemoryVerb = (typeof MEMORY_VERBS)[number];

/** `agents.recall`: a question that each node answers once for all of its agents */
export const memoriesSubject = (verb: MemoriesVerb): string => `agents.${verb}`;

/** What all memories are asked: a whole question, or the first two rounds of one that is ranked over all nodes. */
export const MEMORIES_VERBS = ['recall', 'search', 'statistics', 'candidates'] as const;
export type MemoriesVerb = (typeof MEMORIES_VERBS)[number];

/** `$KV.orch-nodes.node-a` */
export const bucketSubject = (stream: string, key: string): string => `$KV.${bucketName(stream)}.${key}`;

/** `$KV.orch-nodes.>`: all keys of a bucket */
export const bucketFilter = (stream: string): string => `$KV.${bucketName(stream)}.>`;

const bucketName = (stream: string): string => stream.replace(/^KV_/, '');

/** `output.t-1.2.node-a`: what attempt 2 of a task printed */
export const outputSubject = (taskId: string, attempt: number, actor: string): string =>
  `output.${taskId}.${attempt}.${actor}`;

/** `output.t-1.*.*` */
export const outputFilter = (taskId: string): string => `output.${taskId}.*.*`;

/** `dead.t-1`: the queue message of a task that failed for good */
export const deadSubject = (taskId: string): string => `dead.${taskId}`;

/** `$KV.orch-board.t-1` */
export const boardSubject = (taskId: string): string => `$KV.orch-board.${taskId}`;

export interface TaskAddress {
  priority: Priority;
  lane: string;
  taskId: string;
}

/** An address as it stands in a subject, unchecked. */
export interface TaskTokens {
  priority: string;
  lane: string;
  taskId: string;
}

/** Reads `tasks.<priority>.<lane>.<taskId>`; undefined when a token is not allowed. The lane is not checked here. */
export function parseTaskSubject(subject: string): TaskAddress | undefined {
  const [root, priority, lane, taskId, ...rest] = subject.split('.');
  if (root !== 'tasks' || rest.length > 0 || !priority || !lane || !taskId) return undefined;
  return isPriority(priority) && isId(taskId) ? { priority, lane, taskId } : undefined;
}

/** The task id in `tasks.<priority>.<lane>.<taskId>`, `dead.<taskId>` or `$KV.orch-board.<taskId>`: the last token. */
export const parseLastToken = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);

/** The three tokens after `tasks`, whatever they are; `parseTaskSubject` checks them. */
export function parseTaskTokens(subject: string): TaskTokens {
  const [, priority = '', lane = '', taskId = ''] = subject.split('.');
  return { priority, lane, taskId };
}

/** The attempt and the actor in `output.<taskId>.<attempt>.<actor>`. */
export function parseOutputSubject(subject: string): { attempt: number; actor: string } {
  const [, , attempt = '', actor = ''] = subject.split('.');
  return { attempt: Number(attempt), actor };
}

/** The key in `$KV.<bucket>.<key>`; a key may have dots. */
export const parseBucketKey = (subject: string): string => subject.split('.').slice(2).join('.');

/** Reads `medium_freebsd+rust`; undefined for a consumer that is not a lane's. */
export function parseLaneConsumer(name: string): { priority: Priority; lane: string } | undefined {
  const priority = PRIORITIES.find(word => name.startsWith(`${word}_`));
  const lane = priority && name.slice(priority.length + 1);
  return lane ? { priority, lane } : undefined;
}

export interface EntryAddress {
  kind: string;
  id: string;
  type: string;
  actor: string;
}

/** Reads `journal.<kind>.<id>.<type>.<actor>[.<consumer>]` or its republished twin on `events.`. */
export function parseEntrySubject(subject: string): EntryAddress | undefined {
  const [root, kind, id, type, actor] = subject.split('.');
  if ((root !== 'journal' && root !== 'events') || !kind || !id || !type || !actor) return undefined;
  return { kind, id, type, actor };
}
