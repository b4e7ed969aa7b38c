// Reads events and turns them into short lines.
import {
  AgentEntry,
  isFinal,
  JournalEntry,
  NodeEntry,
  parseEntrySubject,
  type TaskRecord,
  tryDecode,
} from '../../protocol/index.ts';
import { colors, stateText } from '../print.ts';
import type { EventLine } from './picture.ts';
import { oneLine } from './text.ts';

/** An event, and the task as it is after it. */
export interface EventRead {
  line: EventLine;
  task: TaskRecord | undefined;
}

/** Reads a message of `events.>`. One that is no entry of a journal is shown by its subject. */
export function readEvent(key: string, subject: string, bytes: Uint8Array): EventRead {
  const value = tryDecode(bytes);
  const task = JournalEntry.safeParse(value).data;
  if (task) return { line: taskEvent(key, task), task: task.task };
  const node = NodeEntry.safeParse(value).data;
  if (node) return { line: nodeEvent(key, node), task: undefined };
  const agent = AgentEntry.safeParse(value).data;
  return { line: agent ? agentEvent(key, agent) : unknownEvent(key, subject), task: undefined };
}

function taskEvent(key: string, { at, type, actor, task }: JournalEntry): EventLine {
  const why = task.error ?? task.question ?? task.reason ?? (type === 'queued' ? task.description : '');
  const attempt = task.attempt > 1 ? ` #${task.attempt}` : '';
  const source = type === 'queued' ? task.lane : actor;
  return {
    key,
    at,
    who: oneLine(task.id),
    what: `${type === task.state || isFinal(task.state) ? stateText(task.state) : type}${attempt}`,
    why: `${colors.dim(oneLine(source))} ${oneLine(why)}`,
    target: { kind: 'task', id: task.id },
  };
}

function nodeEvent(key: string, { at, type, returned, reason, node }: NodeEntry): EventLine {
  const color = type === 'lost' ? colors.red : type === 'online' ? colors.green : colors.yellow;
  const what = returned ? 'online again' : type;
  return {
    key,
    at,
    who: oneLine(node.id),
    what: color(what),
    why: `${colors.dim('node')} ${oneLine(reason ?? node.host)}`,
    target: { kind: 'node', id: node.id },
  };
}

function agentEvent(key: string, { at, type, actor, agent }: AgentEntry): EventLine {
  const why = `by ${oneLine(actor)}`;
  return { key, at, who: oneLine(agent.id), what: `agent ${type}`, why, target: undefined };
}

function unknownEvent(key: string, subject: string): EventLine {
  const { kind = '', id = subject, type = '' } = parseEntrySubject(subject) ?? {};
  const what = oneLine(`${kind} ${type}`);
  return { key, at: new Date().toISOString(), who: oneLine(id), what, why: '', target: undefined };
}
