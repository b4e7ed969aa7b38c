// Reading a queue message as a task. Any client may have written it; what is wrong with it is a value.
import type { Delivery } from '../bus/index.ts';
import {
  CONTENT_TYPE,
  decode,
  encodingOf,
  isCanonicalMessage,
  isPriority,
  messageOf,
  OrchError,
  parseAs,
  parseId,
  parseLane,
  parsePriority,
  parseTaskTokens,
  TASK_BYTES_MAX,
  type TaskAddress,
  TaskMessage,
  TRACEPARENT,
} from '../protocol/index.ts';
import { childSpan } from './trace.ts';

export type ReadMessage =
  | { kind: 'valid'; address: TaskAddress; message: TaskMessage }
  | { kind: 'invalid'; address: TaskAddress; error: string };

/** A task is an object, and no object of MessagePack begins with this. */
const OPENING_BRACE = 0x7b;

/** Reads a queue message as a task; what is wrong with it is a value. */
export function readMessage(delivery: Pick<Delivery, 'subject' | 'headers' | 'bytes'>): ReadMessage {
  const { priority, lane, taskId } = parseTaskTokens(delivery.subject);
  const address: TaskAddress = { priority: isPriority(priority) ? priority : 'medium', lane, taskId };
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
    // Headers are read where they are asked for, which takes as long as all the rest.
    const isObject = delivery.bytes[0] === OPENING_BRACE;
    const value = decode(delivery.bytes, isObject ? 'json' : encodingOf(delivery.headers?.get(CONTENT_TYPE)));
    const message = isCanonicalMessage(value) ? value : parseAs(TaskMessage, value, 'task');
    message.traceparent = childSpan(message.traceparent ?? tracedBy(delivery.headers));
    return { kind: 'valid', address, message };
  } catch (error) {
    return { kind: 'invalid', address, error: messageOf(error) };
  }
}

function tracedBy(headers: Delivery['headers']): string | undefined {
  const header = headers?.get('traceparent') ?? '';
  return TRACEPARENT.test(header) ? header : undefined;
}
