// The nats-servers that sides run on, and what is asked of them with plain nats.js: no code of the side in question.
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { startServer } from '../../src/server/index.ts';
import { type Served, type ServeOptions, serversOf } from './side.ts';

/** Starts one server with an empty store and hands it to `provision`. */
export async function serveNats(
  { dataDir, sync, natsServer }: ServeOptions,
  provision: (manager: JetStreamManager, url: string) => Promise<unknown>,
): Promise<Served> {
  const server = await startServer({ binary: natsServer, dataDir, port: 0, sync });
  try {
    const version = await observe(server.url, async (manager, version) => {
      await provision(manager, server.url);
      return version;
    });
    const facts = `nats-server ${version}, sync_interval ${sync}, file storage, 1 replica`;
    return { url: server.url, pid: server.pid, facts, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const connectObserver = (url: string | string[]) =>
  connect({
    servers: typeof url === 'string' ? serversOf(url) : url,
    name: 'bench-observer',
    noAsyncTraces: true,
  });

/** Asks a server something on a connection for that alone. */
export async function observe<T>(
  url: string | string[],
  ask: (manager: JetStreamManager, version: string) => Promise<T>,
): Promise<T> {
  const nc = await connectObserver(url);
  try {
    return await ask(await jetstreamManager(nc, { checkAPI: false }), nc.info?.version ?? 'unknown');
  } finally {
    await nc.close();
  }
}

/** Messages in a stream. */
export const messagesIn = (url: string, stream: string): Promise<number> =>
  observe(url, async manager => (await manager.streams.info(stream)).state.messages);

export const purge = (url: string, stream: string): Promise<void> =>
  observe(url, async manager => {
    await manager.streams.purge(stream);
  });

/** How often each id stands in the subjects of a stream that match the filters. */
export async function countIds(
  url: string | string[],
  stream: string,
  filters: string[],
  idToken: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const nc = await connectObserver(url);
  try {
    const options = { filter_subjects: filters, headers_only: true };
    const consumer = await jetstream(nc).consumers.get(stream, options);
    if ((await consumer.info()).num_pending === 0) return counts;
    for await (const msg of await consumer.consume({ max_messages: 10_000 })) {
      const id = msg.subject.split('.')[idToken] ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
      if (msg.info.pending === 0) break;
    }
    return counts;
  } finally {
    await nc.close();
  }
}
