// Nodes that are only there: presence as a daemon has it, on a few connections, and an answer to each ping. They own no
// memories and take no tasks, so that what is measured is what being there costs.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Bus } from '../../src/bus/index.ts';
import { Presence } from '../../src/nodes/index.ts';
import {
  EXPIRY_MS_DEFAULT,
  encode,
  messageOf,
  NODES,
  type NodeRecord,
  type NodeReply,
  PROTOCOL,
  pingAllSubject,
} from '../../src/protocol/index.ts';
import { Trend } from '../harness/report.ts';

const CONNECTIONS = 4;
/** Nodes that join at the same time. */
const JOINS_MAX = 50;

/** What some time of heartbeats came to. */
export interface Pulse {
  /** From sending a heartbeat to the server's acknowledgement. */
  latency: Trend;
  beats: number;
  elapsedMs: number;
  /** That the nodes sent. */
  bytes: number;
}

interface Connection {
  nc: NatsConnection;
  bus: Bus;
  records: NodeRecord[];
}

export class Fleet {
  readonly #heartbeatMs: number;
  readonly #connections: Connection[] = [];
  readonly #nodes: Presence[] = [];
  #latency = new Trend();
  /** Nodes whose key was gone, nodes that found another in their place, and heartbeats that were not taken. */
  returned = 0;
  taken = 0;
  failed = 0;

  private constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  /** Opens the connections; no node has joined yet. */
  static async open(url: string, heartbeatMs: number): Promise<Fleet> {
    const fleet = new Fleet(heartbeatMs);
    for (let index = 0; index < CONNECTIONS; index++) await fleet.#connect(url);
    return fleet;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** Lets nodes join until there are so many, spread over a heartbeat so that their heartbeats are. */
  async grow(size: number): Promise<void> {
    const from = this.#nodes.length;
    const beganAt = performance.now();
    let next = from;
    const join = async () => {
      while (next < size) {
        const index = next++;
        const dueAt = beganAt + ((index - from) / (size - from)) * this.#heartbeatMs;
        await sleep(Math.max(0, dueAt - performance.now()));
        await this.#join(index);
      }
    };
    await Promise.all(Array.from({ length: JOINS_MAX }, join));
  }

  /** Lets time pass, and returns what the heartbeats in it were like. */
  async listen(durationMs: number): Promise<Pulse> {
    const latency = new Trend();
    this.#latency = latency;
    const [sentBefore, beganAt] = [this.#bytesSent, performance.now()];
    await sleep(durationMs);
    const elapsedMs = performance.now() - beganAt;
    return { latency, beats: latency.count, elapsedMs, bytes: this.#bytesSent - sentBefore };
  }

  /** Ends all of them without a word: their server goes with them. */
  async close(): Promise<void> {
    for (const node of this.#nodes) node.abandon();
    for (const { bus } of this.#connections) await bus.close();
  }

  get #bytesSent(): number {
    return this.#connections.reduce((sum, { nc }) => sum + nc.stats().outBytes, 0);
  }

  async #connect(url: string): Promise<void> {
    const nc = await connect({ servers: url, noAsyncTraces: true, name: 'bench-fleet' });
    const bus = new Bus(nc);
    const bucket = bus.buckets.open(NODES);
    const put = bucket.put.bind(bucket);
    bucket.put = async (...words) => {
      const sentAt = performance.now();
      const outcome = await put(...words);
      this.#latency.add(performance.now() - sentAt);
      return outcome;
    };
    // Presence uses no other.
    bus.buckets.open = () => bucket;
    const records: NodeRecord[] = [];
    // One subscription answers for all nodes of a connection; the answers are as many as nodes.
    nc.subscribe(pingAllSubject, {
      callback: (_error, msg) => {
        for (const record of records) msg.respond(encode(replyOf(record)));
      },
    });
    this.#connections.push({ nc, bus, records });
  }

  async #join(index: number): Promise<void> {
    const connection = this.#connections[index % CONNECTIONS];
    if (!connection) return;
    const record = recordOf(index, this.#heartbeatMs);
    const node = new Presence(connection.bus, {
      record: () => record,
      onReturned: () => void this.returned++,
      onTaken: () => void this.taken++,
      onError: (error, doing) => {
        this.failed++;
        process.stderr.write(`${record.id}: ${doing}: ${messageOf(error)}\n`);
      },
    });
    this.#nodes.push(node);
    await node.start();
    connection.records.push(record);
  }
}

// As a daemon's: some capabilities and labels, two agents.
const recordOf = (index: number, heartbeatMs: number): NodeRecord => ({
  id: `node-${index}`,
  incarnation: randomUUID(),
  version: '0.1.0',
  protocol: { ...PROTOCOL },
  host: `worker-${index}.example.internal`,
  os: 'linux',
  arch: 'x64',
  pid: 1_000 + index,
  startedAt: new Date().toISOString(),
  heartbeatMs,
  expiryMs: EXPIRY_MS_DEFAULT,
  capabilities: ['docker', 'node20', 'rust'],
  problems: [],
  labels: { zone: 'eu-west-1b', disk: 'ssd' },
  capacity: { maxWorkers: 4, currentWorkers: 0 },
  agents: ['reader', 'writer'].map(role => ({
    id: `${role}-${index}`,
    visibility: 'shared' as const,
    status: 'idle' as const,
  })),
  waitingAgents: [],
  features: [],
  metrics: { cpuPercent: 12.5, memoryPercent: 43.1 },
  state: 'ready',
});

const replyOf = ({ id, incarnation, state, host, pid }: NodeRecord): NodeReply => ({
  node: id,
  incarnation,
  at: new Date().toISOString(),
  state,
  running: 0,
  protocol: { ...PROTOCOL },
  host,
  pid,
});
