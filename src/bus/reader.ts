// Reads of stored messages without a consumer: the last one on a subject, one by its sequence, or a range.
import { setImmediate as turn } from 'node:timers/promises';
import {
  createInbox,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import { directGetSubject, leaderGetSubject, OrchError } from '../protocol/index.ts';
import { toOrchError } from './errors.ts';

const BATCH = 1_000;
const TURN_MESSAGES = 100;
const RESEND_MS = 1_000;

/** A message as a stream holds it. */
export interface Stored {
  stream: string;
  subject: string;
  /** Stream sequence. */
  seq: number;
  /** When the server stored it. */
  time: Date;
  headers: MsgHdrs | undefined;
  bytes: Uint8Array;
}

export interface RangeOptions {
  /** Only messages on this subject; wildcards allowed. */
  filter: string;
  /** First stream sequence to read; default 1. Not together with `since`. */
  from?: number;
  /** Oldest time to read. */
  since?: Date;
  signal?: AbortSignal;
}

type GetRequest = { last_by_subj: string } | { seq: number } | { seq: number; next_by_subj: string };

export class Reader {
  readonly #nc: NatsConnection;
  readonly #inboxPrefix: string | undefined;
  readonly #timeoutMs: number;

  constructor(nc: NatsConnection, options: { inboxPrefix?: string | undefined; timeoutMs: number }) {
    this.#nc = nc;
    this.#inboxPrefix = options.inboxPrefix;
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * The last message on a subject or filter. `from: 'replica'` is one hop and may be stale on a replicated stream;
   * `'leader'` is current: a decision that lost its compare-and-set reads from there.
   */
  async last(
    stream: string,
    filter: string,
    from: 'replica' | 'leader' = 'replica',
  ): Promise<Stored | undefined> {
    return from === 'replica'
      ? this.#direct(stream, { last_by_subj: filter })
      : this.#fromLeader(stream, { last_by_subj: filter });
  }

  /** The oldest message on a subject or filter. */
  first(stream: string, filter: string): Promise<Stored | undefined> {
    return this.#direct(stream, { seq: 1, next_by_subj: filter });
  }

  /** The message with a stream sequence, if it is still there. */
  bySequence(
    stream: string,
    seq: number,
    from: 'replica' | 'leader' = 'replica',
  ): Promise<Stored | undefined> {
    return from === 'replica' ? this.#direct(stream, { seq }) : this.#fromLeader(stream, { seq });
  }

  /** All stored messages on a filter, oldest first, up to the end of the stream as it is when that is reached. */
  async *range(stream: string, options: RangeOptions): AsyncGenerator<Stored> {
    let from: { seq: number } | { start_time: string } = options.since
      ? { start_time: options.since.toISOString() }
      : { seq: Math.max(1, options.from ?? 1) };
    while (!options.signal?.aborted) {
      const batch = await this.#batch(stream, { ...from, batch: BATCH, next_by_subj: options.filter });
      for (const [index, message] of batch.messages.entries()) {
        yield message;
        // A long read must not block the rest of the process.
        if (index % TURN_MESSAGES === TURN_MESSAGES - 1) await turn();
      }
      const last = batch.messages.at(-1);
      if (!last || batch.pending === 0) return;
      from = { seq: last.seq + 1 };
    }
  }

  async #direct(stream: string, request: GetRequest): Promise<Stored | undefined> {
    const msg = await this.#request(directGetSubject(stream), request, stream);
    if (msg.headers?.code === 404) return undefined;
    return storedFromHeaders(msg.headers, msg.data);
  }

  async #fromLeader(stream: string, request: GetRequest): Promise<Stored | undefined> {
    const reply = (await this.#request(leaderGetSubject(stream), request, stream)).json<{
      message?: { subject: string; seq: number; time: string; data?: string; hdrs?: string };
      error?: { code: number; err_code: number; description: string };
    }>();
    if (reply.error?.code === 404) return undefined;
    if (!reply.message)
      throw new OrchError(
        'unavailable',
        `cannot read ${stream}: ${reply.error?.description ?? 'no message'}`,
      );
    const { subject, seq, time, data, hdrs } = reply.message;
    return {
      stream,
      subject,
      seq,
      time: new Date(time),
      headers: readHeaders(hdrs),
      bytes: Buffer.from(data ?? '', 'base64'),
    };
  }

  // A request that was sent while the connection was away is lost without a word, so it is sent again.
  async #request(subject: string, body: GetRequest, stream: string): Promise<Msg> {
    const deadline = performance.now() + this.#timeoutMs;
    for (;;) {
      const left = deadline - performance.now();
      try {
        return await this.#nc.request(subject, JSON.stringify(body), {
          timeout: Math.max(1, Math.min(left, RESEND_MS)),
        });
      } catch (error) {
        if (error instanceof RequestError && error.isNoResponders()) throw noStream(stream, error);
        if (!(error instanceof TimeoutError) || left <= RESEND_MS)
          throw toOrchError(error, `cannot read ${stream}`);
      }
    }
  }

  async #batch(stream: string, request: object): Promise<Batch> {
    const deadline = performance.now() + this.#timeoutMs;
    for (;;) {
      const batch = await this.#batchOnce(stream, request);
      if (batch !== 'silence') return batch;
      if (performance.now() >= deadline) {
        throw new OrchError('unavailable', `cannot read ${stream}: the server did not answer in time`);
      }
    }
  }

  // A batch comes as many messages on one inbox and ends with a 204 that carries how many are left.
  #batchOnce(stream: string, request: object): Promise<Batch | 'silence'> {
    return new Promise((resolve, reject) => {
      const messages: Stored[] = [];
      const inbox = createInbox(this.#inboxPrefix);
      const end = (settle: () => void) => {
        clearTimeout(silence);
        subscription.unsubscribe();
        settle();
      };
      const subscription = this.#nc.subscribe(inbox, {
        callback: (error, msg) => {
          silence.refresh();
          const code = msg.headers?.code ?? 0;
          if (error) end(() => reject(toOrchError(error, `cannot read ${stream}`)));
          else if (code === 0) messages.push(storedFromHeaders(msg.headers, msg.data));
          else if (code === 204) {
            end(() => resolve({ messages, pending: Number(msg.headers?.get('Nats-Num-Pending') ?? 0) }));
          } else if (code === 404) end(() => resolve({ messages, pending: 0 }));
          else if (code === 503) end(() => reject(noStream(stream)));
          else {
            end(() =>
              reject(new OrchError('unavailable', `cannot read ${stream}: ${msg.headers?.description}`)),
            );
          }
        },
      });
      // After the subscription: on a closed connection that one throws, and nothing may be left behind.
      const silence = setTimeout(() => end(() => resolve('silence')), Math.min(RESEND_MS, this.#timeoutMs));
      this.#nc.publish(directGetSubject(stream), JSON.stringify(request), { reply: inbox });
    });
  }
}

interface Batch {
  messages: Stored[];
  /** How many there are behind these. */
  pending: number;
}

const noStream = (stream: string, cause?: unknown) =>
  new OrchError('not_found', `stream ${stream} does not exist or has no leader`, {
    advice: 'run `orch up`, or publish a task: the first one creates the streams',
    cause,
  });

// `NATS/1.0` and a line for each header, in base64.
function readHeaders(base64: string | undefined): MsgHdrs | undefined {
  if (base64 === undefined) return undefined;
  const read = headers();
  for (const line of Buffer.from(base64, 'base64').toString('utf8').split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) read.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return read;
}

function storedFromHeaders(headers: MsgHdrs | undefined, bytes: Uint8Array): Stored {
  if (!headers) throw new OrchError('unavailable', 'a stored message came without its headers');
  return {
    stream: headers.get('Nats-Stream'),
    subject: headers.get('Nats-Subject'),
    seq: Number(headers.get('Nats-Sequence')),
    time: new Date(headers.get('Nats-Time-Stamp')),
    headers,
    bytes,
  };
}
