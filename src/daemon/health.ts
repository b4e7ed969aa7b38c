// A node over HTTP, for Prometheus and for what restarts an unhealthy node: `/metrics`, `/healthz`, `/readyz`.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '../bus/index.ts';
import { messageOf, OrchError } from '../protocol/index.ts';
import type { Daemon } from './daemon.ts';
import type { Metrics } from './metrics.ts';

/** Streams are inspected this often at most, however often a probe asks. */
const STREAMS_CACHE_MS = 2_000;

export interface HealthServer {
  url: string;
  stop(): Promise<void>;
}

/** Serves until it is stopped; port 0 takes a free one. Throws `unavailable` for an address that cannot be had. */
export async function serveHealth(
  { host, port }: { host: string; port: number },
  sources: { daemon: Daemon; bus: Bus; metrics: Metrics },
): Promise<HealthServer> {
  const readiness = readinessOf(sources);
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz') answer(response, 200, 'alive\n');
    else if (path === '/readyz')
      void readiness().then(why =>
        why ? answer(response, 503, `${why}\n`) : answer(response, 200, 'ready\n'),
      );
    else if (path === '/metrics') {
      void sources.metrics.text().then(
        text => answer(response, 200, text, sources.metrics.contentType),
        (error: unknown) => answer(response, 500, `${messageOf(error)}\n`),
      );
    } else answer(response, 404, 'not found: /metrics, /healthz and /readyz are served\n');
  });
  await listen(server, host, port);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// Why the node is not ready; undefined when it is.
function readinessOf({ daemon, bus }: { daemon: Daemon; bus: Bus }): () => Promise<string | undefined> {
  let [streams, readAt] = [Promise.resolve<string | undefined>(undefined), Number.NEGATIVE_INFINITY];
  return async () => {
    if (!bus.server.isConnected) return 'not connected to a server';
    if (daemon.state !== 'ready') return `the node is ${daemon.state}`;
    if (performance.now() - readAt > STREAMS_CACHE_MS) {
      readAt = performance.now();
      streams = missingStreams(bus);
    }
    return streams;
  };
}

async function missingStreams(bus: Bus): Promise<string | undefined> {
  try {
    const missing = (await bus.streams.inspect()).filter(({ found, hasLeader }) => !found || !hasLeader);
    return missing.length === 0 ? undefined : `without ${missing.map(({ name }) => name).join(', ')}`;
  } catch (error) {
    return messageOf(error);
  }
}

function answer(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type }).end(text);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is taken' : messageOf(error);
      reject(
        new OrchError('unavailable', `cannot listen on ${host}:${port}: ${why}`, {
          advice: 'use another with --metrics-port',
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
