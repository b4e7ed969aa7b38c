// A JetStream cluster of three containers on two networks: one that clients come in by, one that its nodes talk on.
// A node can so lose its peers alone, and go on answering clients without knowing better, or lose everybody.
import { jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import {
  getContainerRuntimeClient,
  getReaper,
  LABEL_TESTCONTAINERS_SESSION_ID,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
} from 'testcontainers';
import { type Bus, type BusOptions, openBus } from '../../src/bus/index.ts';
import { newTaskId } from '../../src/tasks/index.ts';
import { TEST_LEASE_MS } from '../support/nats.ts';
import { until } from '../support/wait.ts';
import { serverContainer, urlOf } from './server.ts';

const NODES = ['n1', 'n2', 'n3'] as const;
export const REPLICAS = NODES.length;
const FORM_MS = 60_000;

/** Whom a node is cut off from. */
export type CutOff = 'its peers' | 'everybody';

type Runtime = Awaited<ReturnType<typeof getContainerRuntimeClient>>;
type PeerNetwork = Awaited<ReturnType<Runtime['network']['create']>>;

export class TestCluster implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #clients: StartedNetwork;
  readonly #peers: PeerNetwork;
  readonly #nodes = new Map<string, StartedTestContainer>();
  readonly #cut = new Map<string, CutOff>();
  readonly #buses: Bus[] = [];

  private constructor(runtime: Runtime, clients: StartedNetwork, peers: PeerNetwork) {
    this.#runtime = runtime;
    this.#clients = clients;
    this.#peers = peers;
  }

  /** Returns when the cluster has made the streams of orch, three copies of each. */
  static async start(): Promise<TestCluster> {
    const runtime = await getContainerRuntimeClient();
    const cluster = new TestCluster(runtime, await new Network().start(), await peerNetwork(runtime));
    try {
      await Promise.all(NODES.map(name => cluster.#startNode(name)));
      const bus = await cluster.bus();
      const provisioned = () =>
        bus.streams.provision().then(
          () => true,
          () => false,
        );
      await until('the cluster to make the streams', provisioned, FORM_MS);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  urlOf(node: string): string {
    return urlOf(this.#node(node));
  }

  get urls(): string[] {
    return [...this.#nodes.keys()].map(name => this.urlOf(name));
  }

  /** A connection of its own to any node, closed with the cluster. */
  async bus(options: BusOptions = {}): Promise<Bus> {
    const bus = await openBus({
      servers: this.urls,
      leaseMs: TEST_LEASE_MS,
      replicas: REPLICAS,
      patient: true,
      ...options,
    });
    this.#buses.push(bus);
    return bus;
  }

  /** What the leader of a stream says about it; undefined while there is none that answers. */
  async streamInfo(stream: string, servers = this.urls): Promise<StreamInfo | undefined> {
    const nc = await connect({ servers });
    try {
      return await (await jetstreamManager(nc, { checkAPI: false, timeout: 2_000 })).streams.info(stream);
    } catch {
      return undefined;
    } finally {
      await nc.close();
    }
  }

  async cutOff(node: string, from: CutOff): Promise<void> {
    const container = { Container: this.#node(node).getId() };
    this.#cut.set(node, from);
    await this.#peers.disconnect(container);
    if (from === 'everybody') await this.#clientNetwork().disconnect(container);
  }

  /** Undoes `cutOff`; safe to call twice. */
  async heal(node: string): Promise<void> {
    const from = this.#cut.get(node);
    if (from === undefined) return;
    this.#cut.delete(node);
    const container = { Container: this.#node(node).getId() };
    if (from === 'everybody') await this.#clientNetwork().connect(container);
    await this.#joinPeers(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#buses.map(bus => bus.close()));
    await Promise.all([...this.#nodes.values()].map(node => node.stop()));
    await this.#clients.stop();
    await this.#peers.remove();
  }

  async #startNode(name: string): Promise<void> {
    const routes = NODES.map(peer => `nats://${peer}:6222`).join(', ');
    // The addresses that a node knows of itself mean nothing outside of its networks: it does not tell them to clients.
    const config = `server_name: ${name}
      cluster { name: orch, listen: "0.0.0.0:6222", no_advertise: true, routes: [${routes}] }`;
    this.#nodes.set(name, await (await serverContainer(config)).withNetwork(this.#clients).start());
    await this.#joinPeers(name);
  }

  async #joinPeers(name: string): Promise<void> {
    const container = this.#runtime.container.getById(this.#node(name).getId());
    await this.#runtime.container.connectToNetwork(container, this.#peers, [name]);
  }

  #node(name: string): StartedTestContainer {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  #clientNetwork(): PeerNetwork {
    return this.#runtime.network.getById(this.#clients.getId());
  }
}

// Internal, so that Docker does not publish the client port through it.
async function peerNetwork(runtime: Runtime): Promise<PeerNetwork> {
  const { sessionId } = await getReaper(runtime);
  return runtime.network.create({
    Name: `orch-${newTaskId()}`,
    Internal: true,
    Labels: { [LABEL_TESTCONTAINERS_SESSION_ID]: sessionId },
  });
}
