// Every subject of orch, as builders and parsers. Above each builder stands the subject that it renders.
import { isId, isPriority, PRIORITIES, type Priority } from './names.ts';
import type { TaskEventType } from './task.ts';

/** `tasks.medium.freebsd+rust.t-1` */
export const taskSubject = (priority: Priority, lane: string, taskId: string): string =>
  `tasks.${priority}.${lane}.${taskId}`;

/** `tasks.*.*.t-1`: the one message of a task, whatever its lane */
export const anyTaskSubject = (taskId: string): string => `tasks.*.*.${taskId}`;

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

/** `events.task.*.cancelled.*` */
export const cancelledEvents = 'events.task.*.cancelled.*';

/** `node.node-a.holds.t-1`: a request to a worker, whether it is at work on a task; see HoldsReply */
export const holdsSubject = (node: string, taskId: string): string => `node.${node}.holds.${taskId}`;

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

/** Reads `tasks.<priority>.<lane>.<taskId>`; undefined when a token is not allowed. The lane is not checked here. */
export function parseTaskSubject(subject: string): TaskAddress | undefined {
  const [root, priority, lane, taskId, ...rest] = subject.split('.');
  if (root !== 'tasks' || rest.length > 0 || !priority || !lane || !taskId) return undefined;
  return isPriority(priority) && isId(taskId) ? { priority, lane, taskId } : undefined;
}

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
