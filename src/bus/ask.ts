// Requests: one to the service of a subject, or one to many services whose replies are gathered until a deadline.
// Promise: a request ends in its time. No service, no reply in time, and a refusal are three different outcomes.
import {
  createInbox,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError,
  RequestError,
} from '@nats-io/transport-node';
import {
  CONTENT_TYPE,
  decode,
  ERROR_CODES,
  type ErrorCode,
  encode,
  encodingOf,
  formatProtocol,
  OrchError,
  PROTOCOL,
  PROTOCOL_HEADER,
} from '../protocol/index.ts';
import { payloadBytesMax } from './connect.ts';

/** What a handler returns to leave the request to another service. */
export const NO_ANSWER = Symbol('no answer');

/** `no-responder`: no service is there. `timeout`: one is, and did not reply in time. */
export type Asked =
  | { kind: 'reply'; value: unknown; receivedAt: Date }
  | { kind: 'refused'; code: ErrorCode; message: string; advice: string | undefined }
  | { kind: 'no-responder' }
  | { kind: 'timeout' };

/** Sends a request to the service of a subject. Throws `too_large` over the server's max_payload. */
export async function ask(
  nc: NatsConnection,
  subject: string,
  body: unknown,
  timeoutMs: number,
): Promise<Asked> {
  const payload = body === undefined ? new Uint8Array() : encode(body);
  const bytesMax = payloadBytesMax(nc);
  if (payload.length > bytesMax) {
    throw new OrchError(
      'too_large',
      `a request of ${payload.length} bytes on ${subject} is over the server's ${bytesMax}`,
    );
  }
  try {
    return readReply(await nc.request(subject, payload, { timeout: timeoutMs, headers: askHeaders() }));
  } catch (error) {
    const hasNoResponder =
      error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
    return { kind: hasNoResponder ? 'no-responder' : 'timeout' };
  }
}

export interface GatherOptions {
  deadlineMs: number;
  inboxPrefix?: string | undefined;
  /** Called for each reply as it comes; true = it was the last expected one. */
  onReply(reply: Asked & { kind: 'reply' | 'refused' }): boolean;
}

/** Sends a request to all services of a subject; returns at the last expected reply, without any service, or at the deadline. */
export function gather(
  nc: NatsConnection,
  subject: string,
  body: unknown,
  { deadlineMs, inboxPrefix, onReply }: GatherOptions,
): Promise<void> {
  return new Promise(resolve => {
    const inbox = createInbox(inboxPrefix);
    const end = () => {
      clearTimeout(timer);
      subscription.unsubscribe();
      resolve();
    };
    const timer = setTimeout(end, deadlineMs);
    const subscription = nc.subscribe(inbox, {
      callback: (error, msg) => {
        if (error || msg.headers?.code === 503) return end();
        const reply = readReply(msg);
        if ((reply.kind === 'reply' || reply.kind === 'refused') && onReply(reply)) end();
      },
    });
    nc.publish(subject, body === undefined ? new Uint8Array() : encode(body), {
      reply: inbox,
      headers: askHeaders(),
    });
  });
}

function askHeaders(): MsgHdrs {
  const all = headers();
  all.set(PROTOCOL_HEADER, formatProtocol(PROTOCOL));
  return all;
}

// An unreadable reply counts as none: it must not end the request.
function readReply(msg: Msg): Asked {
  try {
    const value = decode(msg.data, encodingOf(msg.headers?.get(CONTENT_TYPE)));
    if (!msg.headers?.has('Nats-Service-Error')) return { kind: 'reply', value, receivedAt: new Date() };
    const { code, message, advice } = (value as { error: Record<string, string> }).error;
    const known = code !== undefined && code in ERROR_CODES ? (code as ErrorCode) : 'internal';
    return { kind: 'refused', code: known, message: message ?? 'no reason given', advice };
  } catch {
    return { kind: 'timeout' };
  }
}
