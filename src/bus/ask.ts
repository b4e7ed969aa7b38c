// Questions to others: one to whoever serves a subject, or one to many whose answers are gathered until a deadline.
// Promise: a question never outlives its time; that nobody is there, that nobody answers, and that somebody refuses are
// three different answers.
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

/** What an answer returns that leaves the request to somebody else. */
export const NO_ANSWER = Symbol('no answer');

/** `nobody`: no one serves the subject. `silence`: somebody does, and did not answer in time. */
export type Asked =
  | { kind: 'reply'; value: unknown; receivedAt: Date }
  | { kind: 'refused'; code: ErrorCode; message: string; advice: string | undefined }
  | { kind: 'nobody' }
  | { kind: 'silence' };

/** Asks whoever serves a subject. Throws `too_large` over the server's max_payload. */
export async function ask(
  nc: NatsConnection,
  subject: string,
  body: unknown,
  timeoutMs: number,
): Promise<Asked> {
  const payload = body === undefined ? new Uint8Array() : encode(body);
  const bytesMax = nc.info?.max_payload ?? 1024 * 1024;
  if (payload.length > bytesMax) {
    throw new OrchError(
      'too_large',
      `a question of ${payload.length} bytes on ${subject} is over the server's ${bytesMax}`,
    );
  }
  try {
    return readReply(await nc.request(subject, payload, { timeout: timeoutMs, headers: askHeaders() }));
  } catch (error) {
    const isNobody =
      error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
    return { kind: isNobody ? 'nobody' : 'silence' };
  }
}

export interface GatherOptions {
  deadlineMs: number;
  inboxPrefix?: string | undefined;
  /** Hears each answer as it comes; true = that was the last one that was waited for. */
  onReply(reply: Asked & { kind: 'reply' | 'refused' }): boolean;
}

/** Asks all who serve a subject, and returns when the last of them was heard, nobody is there, or time is up. */
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

// What cannot be read is as good as no answer: it must not end the question.
function readReply(msg: Msg): Asked {
  try {
    const value = decode(msg.data, encodingOf(msg.headers?.get(CONTENT_TYPE)));
    if (!msg.headers?.has('Nats-Service-Error')) return { kind: 'reply', value, receivedAt: new Date() };
    const { code, message, advice } = (value as { error: Record<string, string> }).error;
    const known = code !== undefined && code in ERROR_CODES ? (code as ErrorCode) : 'internal';
    return { kind: 'refused', code: known, message: message ?? 'no reason given', advice };
  } catch {
    return { kind: 'silence' };
  }
}
