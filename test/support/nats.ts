// A real nats-server for a test file, behind a disposable handle: a child process on a free port with a folder of its
// own, unless the suite starts its servers elsewhere.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { type Bus, type BusOptions, openBus } from '../../src/bus/index.ts';
import { startServer } from '../../src/server/index.ts';

/** The shortest lease that the server's timers keep reliably; tests wait for leases to run out. */
export const TEST_LEASE_MS = 1_500;

/** A server that accepts clients, wherever it runs. */
export interface TestServer {
  readonly url: string;
  /** `kill -9`, without a chance to write anything. */
  kill(): Promise<void>;
  /** The same data at the same URL again. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

export interface LaunchOptions {
  extraConfig?: string;
}

export type Launch = (options: LaunchOptions) => Promise<TestServer>;

let launch: Launch = launchChild;

/** Starts the servers of this test file in another way; for a setup file. */
export function launchServersBy(other: Launch): void {
  launch = other;
}

async function launchChild(options: LaunchOptions): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orch-test-'));
  const start = (port: number) => startServer({ binary: inject('natsServer'), dataDir, port, ...options });
  let child = await start(0);
  return {
    get url() {
      return child.url;
    },
    async kill() {
      process.kill(child.pid, 'SIGKILL');
      await child.exited;
    },
    async restart() {
      await child.stop();
      child = await start(child.port);
    },
    async stop() {
      await child.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export class TestNats implements AsyncDisposable {
  readonly #server: TestServer;
  readonly #buses: Bus[] = [];

  private constructor(server: TestServer) {
    this.#server = server;
  }

  static async start(
    options: { provision?: boolean; leaseMs?: number } & LaunchOptions = {},
  ): Promise<TestNats> {
    const { provision = true, leaseMs = TEST_LEASE_MS, ...rest } = options;
    const nats = new TestNats(await launch(rest));
    if (provision) await (await nats.bus({ leaseMs })).streams.provision();
    return nats;
  }

  get url(): string {
    return this.#server.url;
  }

  /** A connection of its own, closed with the server. */
  async bus(options: BusOptions = {}): Promise<Bus> {
    const bus = await openBus({ servers: [this.url], leaseMs: TEST_LEASE_MS, ...options });
    this.#buses.push(bus);
    return bus;
  }

  /** `kill -9`, without a chance to write anything. */
  kill(): Promise<void> {
    return this.#server.kill();
  }

  /** The same data at the same URL again. */
  restart(): Promise<void> {
    return this.#server.restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#buses.map(bus => bus.close()));
    await this.#server.stop();
  }
}

/** A server and a connection to it, until the test ends. */
export async function startNats(
  options: Parameters<typeof TestNats.start>[0] = {},
): Promise<{ nats: TestNats; bus: Bus }> {
  const nats = await TestNats.start(options);
  onTestFinished(() => nats[Symbol.asyncDispose]());
  return { nats, bus: await nats.bus() };
}
