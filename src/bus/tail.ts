// Follows a stream: what is stored from some point on, then what arrives, in order and without a gap.
// It keeps its own ephemeral pull consumer and makes a new one after missed heartbeats, an error or a reconnect: the
// library's ordered consumer stood still for 88 s when the server that hosted it died.
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstreamManager,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { delay, type NatsConnection, nanos } from '@nats-io/transport-node';
import type { Stored } from './reader.ts';

const PULL_BATCH = 500;
const PULL_EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 1_000;
const RECREATE_PAUSE_MS = 500;

export interface TailOptions {
  filter: string;
  /** Where to begin: a stream sequence, a time, all that is stored, or only what comes. */
  start: { seq: number } | { since: Date } | 'all' | 'new';
  signal: AbortSignal;
}

/** Yields messages until the signal aborts. A lost server is waited for. */
export async function* tail(
  nc: NatsConnection,
  stream: string,
  options: TailOptions,
): AsyncGenerator<Stored> {
  const { signal } = options;
  let start = options.start;
  while (!signal.aborted && !nc.isClosed()) {
    try {
      const created = await createConsumer(nc, stream, { ...options, start });
      // "New" means new since the first consumer: its successors resume where it began.
      if (start === 'new') start = { seq: created.info.delivered.stream_seq + 1 };
      for await (const msg of messagesOf(created, signal)) {
        start = { seq: msg.seq + 1 };
        yield {
          stream,
          subject: msg.subject,
          seq: msg.seq,
          time: new Date(msg.timestamp),
          headers: msg.headers,
          bytes: msg.data,
        };
      }
    } catch {
      // Away, electing, or the consumer's host died: the next round resumes behind the last message seen.
    }
    if (!signal.aborted) await delay(RECREATE_PAUSE_MS);
  }
}

type Created = Awaited<ReturnType<typeof createConsumer>>;

async function createConsumer(nc: NatsConnection, stream: string, options: TailOptions) {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const info = await manager.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    filter_subject: options.filter,
    inactive_threshold: nanos(60_000),
    mem_storage: true,
    num_replicas: 1,
    ...startPolicy(options.start),
  });
  return { manager, info, consumer: manager.jetstream().consumers.getConsumerFromInfo(info) };
}

async function* messagesOf({ manager, info, consumer }: Created, signal: AbortSignal): AsyncGenerator<JsMsg> {
  const messages = await consumer.consume({
    max_messages: PULL_BATCH,
    expires: PULL_EXPIRES_MS,
    idle_heartbeat: HEARTBEAT_MS,
    bind: true,
    abort_on_missing_resource: true,
  });
  const stop = () => messages.stop();
  signal.addEventListener('abort', stop, { once: true });
  void stopOnMissedHeartbeats(messages);
  try {
    if (!signal.aborted) yield* messages;
  } finally {
    signal.removeEventListener('abort', stop);
    messages.stop();
    manager.consumers.delete(info.stream_name, info.name).catch(() => {});
  }
}

async function stopOnMissedHeartbeats(messages: ConsumerMessages): Promise<void> {
  for await (const status of messages.status()) {
    if (status.type === 'heartbeats_missed' && status.count >= 2) messages.stop();
  }
}

function startPolicy(start: TailOptions['start']) {
  if (start === 'all') return { deliver_policy: DeliverPolicy.All };
  if (start === 'new') return { deliver_policy: DeliverPolicy.New };
  if ('seq' in start) return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.seq };
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.since.toISOString() };
}
