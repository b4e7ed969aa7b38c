// Three nats-servers on loopback that are one cluster, each of which can be killed and started again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type Bus, type BusOptions, openBus } from '../../src/bus/index.ts';
import { freePorts, type ServerProcess, startServer } from '../../src/server/index.ts';
import { until } from './wait.ts';

export const CLUSTER_SIZE = 3;

interface Member {
  name: string;
  port: number;
  process: ServerProcess | undefined;
  start(): Promise<ServerProcess>;
}

export class NatsCluster implements AsyncDisposable {
  readonly #members: Member[];
  readonly #root: string;
  readonly #buses: Bus[] = [];

  private constructor(members: Member[], root: string) {
    this.#members = members;
    this.#root = root;
  }

  static async start(): Promise<NatsCluster> {
    const root = await mkdtemp(join(tmpdir(), 'orch-cluster-'));
    const ports = await freePorts(2 * CLUSTER_SIZE);
    const routes = ports.slice(CLUSTER_SIZE).map(port => `nats://127.0.0.1:${port}`);
    const members = ports.slice(0, CLUSTER_SIZE).map((port, i): Member => {
      const listen = `127.0.0.1:${ports[CLUSTER_SIZE + i]}`;
      const extraConfig = `cluster { name: test, listen: "${listen}", routes: ${JSON.stringify(routes)} }`;
      const start = () =>
        startServer({
          binary: inject('natsServer'),
          dataDir: join(root, String(port)),
          port,
          sync: '1s',
          extraConfig,
        });
      return { name: `orch-${port}`, port, process: undefined, start };
    });
    const cluster = new NatsCluster(members, root);
    for (const member of members) member.process = await member.start();
    return cluster;
  }

  get servers(): string[] {
    return this.#members.map(({ port }) => `nats://127.0.0.1:${port}`);
  }

  async bus(options: BusOptions = {}): Promise<Bus> {
    const bus = await openBus({ servers: this.servers, replicas: CLUSTER_SIZE, ...options });
    this.#buses.push(bus);
    return bus;
  }

  /** The name of the server that leads a stream. */
  async leaderOf(bus: Bus, stream: string): Promise<string> {
    return until(`${stream} to have a leader`, async () => {
      const reports = await bus.streams.inspect().catch(() => []);
      return reports.find(({ name }) => name === stream)?.peers.find(({ isLeader }) => isLeader)?.name;
    });
  }

  /** `kill -9` of one server. */
  async kill(name: string): Promise<void> {
    const member = this.#member(name);
    if (!member.process) throw new Error(`${name} does not run`);
    process.kill(member.process.pid, 'SIGKILL');
    await member.process.exited;
    member.process = undefined;
  }

  async restart(name: string): Promise<void> {
    const member = this.#member(name);
    member.process = await member.start();
  }

  #member(name: string): Member {
    const member = this.#members.find(known => known.name === name);
    if (!member) throw new Error(`no server ${name}`);
    return member;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#buses.map(bus => bus.close()));
    await Promise.all(this.#members.map(({ process: running }) => running?.stop()));
    await rm(this.#root, { recursive: true, force: true });
  }
}
