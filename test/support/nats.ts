// A real nats-server for a test file, on a free port with a folder of its own, behind a disposable handle.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type Bus, type BusOptions, openBus, type ServerProcess, startServer } from '../../src/bus/index.ts';

/** The shortest lease that the server's timers keep reliably; tests wait for leases to run out. */
export const TEST_LEASE_MS = 1_500;

export class TestNats implements AsyncDisposable {
  readonly #dir: string;
  readonly #buses: Bus[] = [];
  #server: ServerProcess;

  private constructor(dir: string, server: ServerProcess) {
    this.#dir = dir;
    this.#server = server;
  }

  static async start(options: { provision?: boolean; extraConfig?: string } = {}): Promise<TestNats> {
    const dir = await mkdtemp(join(tmpdir(), 'orch-test-'));
    const { provision = true, ...rest } = options;
    const server = await startServer({ binary: inject('natsServer'), dataDir: dir, port: 0, ...rest });
    const nats = new TestNats(dir, server);
    if (provision) await (await nats.bus()).provision();
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
  async kill(): Promise<void> {
    process.kill(this.#server.pid, 'SIGKILL');
    await this.#server.exited;
  }

  /** The same folder on the same port again. */
  async restart(): Promise<void> {
    const { port } = this.#server;
    await this.#server.stop();
    this.#server = await startServer({ binary: inject('natsServer'), dataDir: this.#dir, port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#buses.map(bus => bus.close()));
    await this.#server.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }
}
