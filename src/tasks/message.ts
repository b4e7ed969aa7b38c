// Reading a queue message as a task. Any client may have written it; what is wrong with it is a value.
import type { Delivery } from '../bus/index.ts';
import {
  CONTENT_TYPE,
  decode,
  encodingOf,
  isPriority,
  messageOf,
  OrchError,
  parseAs,
  parseId,
  parseLane,
  parsePriority,
  parseTaskSubject,
  TASK_BYTES_MAX,
  type TaskAddress,
  TaskMessage,
  TRACEPARENT,
} from '../protocol/index.ts';
import { childSpan } from './trace.ts';

export type ReadMessage =
  | { kind: 'valid'; address: TaskAddress; message: TaskMessage }
  | { kind: 'invalid'; address: TaskAddress; error: string };

/** Reads a queue message as a task; what is wrong with it is a value. */
export function readMessage(delivery: Pick<Delivery, 'subject' | 'headers' | 'bytes'>): ReadMessage {
  const [, priority = '', lane = '', taskId = ''] = delivery.subject.split('.');
  const address = parseTaskSubject(delivery.subject) ?? {
    priority: isPriority(priority) ? priority : 'medium',
    lane,
    taskId,
  };
  try {
    parsePriority(priority);
    parseId(taskId, 'task id');
    parseLane(lane);
    if (delivery.bytes.length > TASK_BYTES_MAX) {
      throw new OrchError(
        'too_large',
        `the message weighs ${delivery.bytes.length} bytes, at most ${TASK_BYTES_MAX} are allowed`,
      );
    }
    const value = decode(delivery.bytes, encodingOf(delivery.headers?.get(CONTENT_TYPE)));
    const message = parseAs(TaskMessage, value, 'task');
    const header = delivery.headers?.get('traceparent') ?? '';
    const traced = message.traceparent ?? (TRACEPARENT.test(header) ? header : undefined);
    message.traceparent = childSpan(traced);
    return { kind: 'valid', address, message };
  } catch (error) {
    return { kind: 'invalid', address, error: messageOf(error) };
  }
}
