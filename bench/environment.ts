// What a scenario runs in: a nats-server of its own on a free loopback port, and the facts that figures depend on.
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { findServer, startServer } from '../src/bus/index.ts';
import { env, paths } from '../src/config/index.ts';
import type { Settings } from './command-line.ts';
import type { OrchLibrary } from './sides/index.ts';

export interface Environment {
  orch: OrchLibrary;
  url: string;
  serverPid: number;
  /** For looking at streams, never for load. */
  observer: NatsConnection;
  facts: Record<string, string>;
  signal: AbortSignal;
  close(): Promise<void>;
}

/** The folder of the bundle. Data lie beside it, on a real disk: a temporary folder in memory has nothing to sync. */
const OUT = dirname(fileURLToPath(import.meta.url));

/** Starts the server and connects to it. `close` stops it and removes its data. */
export async function openEnvironment(
  settings: Settings,
  orch: OrchLibrary,
  signal: AbortSignal,
): Promise<Environment> {
  const binary = await findServer({
    given: settings.natsServer ?? env('ORCH_NATS_SERVER'),
    cacheDir: paths().cache,
    path: env('PATH') ?? '',
  });
  const dataDir = await mkdtemp(join(OUT, 'data-'));
  const removeData = () => rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  const server = await startServer({ binary: binary.path, dataDir, port: 0, sync: settings.sync }).catch(
    async error => {
      await removeData();
      throw error;
    },
  );
  const observer = await connect({ servers: server.url, name: 'bench-observer', noAsyncTraces: true });
  return {
    orch,
    url: server.url,
    serverPid: server.pid,
    observer,
    signal,
    facts: {
      'nats-server': `${binary.version}, sync ${settings.sync}`,
      node: `${process.version} ${process.platform} ${process.arch}`,
      cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, load ${loadavg()[0]?.toFixed(1)}`,
    },
    close: async () => {
      await observer.close();
      await server.stop();
      await removeData();
    },
  };
}
