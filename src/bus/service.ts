// What a process answers, as a NATS micro service (ADR-32), so that `nats micro ls | info | stats | ping` see it.
// Promises: an answer goes out in the encoding of its request; an error goes out as one, with its code; nothing that a
// handler throws ends the service; a request in a protocol that this side does not speak is refused, not misread.
import { type Service as MicroService, type ServiceMsg, Svcm } from '@nats-io/services';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import {
  areCompatible,
  CONTENT_TYPE,
  decode,
  type Encoding,
  ERROR_CODES,
  encode,
  encodingOf,
  formatProtocol,
  MSGPACK,
  messageOf,
  OrchError,
  PROTOCOL_HEADER,
  type ProtocolRange,
  parseProtocol,
} from '../protocol/index.ts';
import { NO_ANSWER } from './ask.ts';

export interface ServiceOptions {
  /** `orch-node` */
  name: string;
  /** Semantic version. */
  version: string;
  description: string;
  metadata: Record<string, string>;
  protocol: ProtocolRange;
}

export interface Request {
  subject: string;
  /** The decoded payload; undefined where it is empty. */
  body: unknown;
}

/** Answers a request, or throws an OrchError that the asker gets. */
export type Answer = (request: Request) => unknown;

export class Service {
  readonly #service: MicroService;
  readonly #protocol: ProtocolRange;

  private constructor(service: MicroService, protocol: ProtocolRange) {
    this.#service = service;
    this.#protocol = protocol;
  }

  static async start(nc: NatsConnection, { protocol, ...config }: ServiceOptions): Promise<Service> {
    const metadata = { ...config.metadata, protocol: formatProtocol(protocol) };
    return new Service(await new Svcm(nc).add({ ...config, metadata }), protocol);
  }

  /**
   * Answers requests on a subject. `queue` is the group in which one of many answers; the default is a group of this
   * service alone, so that all services answer: an empty one would become the group `q`.
   */
  serve(name: string, subject: string, answer: Answer, queue = this.#service.info().id): void {
    this.#service.addEndpoint(name, {
      subject,
      queue,
      handler: (error, msg) => {
        if (!error) void this.#answer(msg, answer);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#service.stop();
  }

  async #answer(msg: ServiceMsg, answer: Answer): Promise<void> {
    const encoding = encodingOf(msg.headers?.get(CONTENT_TYPE));
    try {
      this.#checkProtocol(msg.headers);
      const body = msg.data.length === 0 ? undefined : decode(msg.data, encoding);
      const reply = await answer({ subject: msg.subject, body });
      if (reply === NO_ANSWER) return;
      msg.respond(encode(reply, encoding), { headers: replyHeaders(encoding) });
    } catch (thrown) {
      const error = thrown instanceof OrchError ? thrown : new OrchError('internal', messageOf(thrown));
      const { code, message, advice } = error;
      msg.respondError(
        ERROR_CODES[code].http,
        message,
        encode({ error: { code, message, advice } }, encoding),
        {
          headers: replyHeaders(encoding),
        },
      );
    }
  }

  #checkProtocol(given: MsgHdrs | undefined): void {
    const text = given?.get(PROTOCOL_HEADER);
    if (!text) return;
    const range = parseProtocol(text);
    if (!range || !areCompatible(range, this.#protocol)) {
      throw new OrchError(
        'unsupported',
        `protocol ${text} is not spoken here, only ${formatProtocol(this.#protocol)}`,
        { advice: 'upgrade the older side' },
      );
    }
  }
}

function replyHeaders(encoding: Encoding): MsgHdrs {
  const all = headers();
  if (encoding === 'msgpack') all.set(CONTENT_TYPE, MSGPACK);
  return all;
}
