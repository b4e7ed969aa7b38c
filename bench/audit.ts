// Was every task ended, and ended once? Read from the streams by plain nats.js, with no code of the side in question.
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Check } from './report.ts';
import { BARE_JOURNAL, BARE_TASKS, FLOOR_TASKS, type Flights, type SideName } from './sides/index.ts';

/** Acknowledgements are not waited for; so long they may be under way. */
const ACKNOWLEDGED_MS = 5_000;

interface Streams {
  queue: string;
  journal?: { stream: string; finals: string[]; idToken: number };
}

const STREAMS: Record<SideName, Streams> = {
  orch: {
    queue: 'ORCH_TASKS',
    journal: {
      stream: 'ORCH_JOURNAL',
      finals: ['done', 'failed', 'cancelled'].map(type => `journal.task.*.${type}.*`),
      idToken: 2,
    },
  },
  bare: {
    queue: BARE_TASKS,
    journal: { stream: BARE_JOURNAL, finals: ['bare.journal.*.done.*'], idToken: 2 },
  },
  floor: { queue: FLOOR_TASKS },
};

/** Checks what a side left behind against the ids that it published. */
export async function audit(
  nc: NatsConnection,
  side: SideName,
  published: ReadonlySet<string>,
  flights: readonly Flights[],
): Promise<Check[]> {
  const { queue, journal } = STREAMS[side];
  const sum = (count: (flights: Flights) => number) => flights.reduce((total, one) => total + count(one), 0);
  const [doubled, lost, taken] = [sum(one => one.doubled), sum(one => one.lost), sum(one => one.taken)];
  const left = await waitUntilEmpty(nc, queue);
  const checks: Check[] = [
    {
      name: `${side}: every task ran once`,
      ok: doubled === 0 && lost === 0 && published.size === taken,
      detail: `${taken} tasks, ${published.size} published, ${doubled} doubled, ${lost} lost`,
    },
    { name: `${side}: the queue is empty`, ok: left === 0, detail: `${left} messages left` },
  ];
  if (journal) {
    const ends = await countFinals(nc, journal.stream, journal.finals, journal.idToken);
    const wrong = [...published].filter(id => ends.get(id) !== 1);
    const foreign = [...ends.keys()].filter(id => !published.has(id));
    checks.push({
      name: `${side}: every task has exactly one final entry`,
      ok: wrong.length === 0 && foreign.length === 0,
      detail: `${published.size} tasks, ${wrong.length} with none or several, ${[foreign.length, 'unknown', ...wrong.slice(0, 3), ...foreign.slice(0, 3)].join(' ')}`,
    });
  }
  return checks;
}

async function waitUntilEmpty(nc: NatsConnection, stream: string): Promise<number> {
  const manager = await jetstreamManager(nc);
  const deadline = performance.now() + ACKNOWLEDGED_MS;
  for (;;) {
    const { messages } = (await manager.streams.info(stream)).state;
    if (messages === 0 || performance.now() > deadline) return messages;
    await sleep(20);
  }
}

async function countFinals(
  nc: NatsConnection,
  stream: string,
  filters: string[],
  idToken: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const consumer = await jetstream(nc).consumers.get(stream, {
    filter_subjects: filters,
    headers_only: true,
  });
  if ((await consumer.info()).num_pending === 0) return counts;
  for await (const msg of await consumer.consume({ max_messages: 10_000 })) {
    const id = msg.subject.split('.')[idToken] ?? '';
    counts.set(id, (counts.get(id) ?? 0) + 1);
    if (msg.info.pending === 0) break;
  }
  await consumer.delete();
  return counts;
}
