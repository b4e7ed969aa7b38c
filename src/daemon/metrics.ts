// Metrics of a node in Prometheus's text format. The node that does the chores also reports the whole cluster (tasks,
// lanes, nodes, findings), so that one node reads it and not all.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Bus } from '../bus/index.ts';
import { isDegradation, readStatus, SEVERITIES } from '../cluster/index.ts';
import { readNodes } from '../nodes/index.ts';
import { isActive, isWaiting, type TaskRecord } from '../protocol/index.ts';
import { listTasks } from '../tasks/index.ts';
import type { Daemon } from './daemon.ts';
import type { Telemetry } from './service/index.ts';

/** Scrapes within this time of each other report the same cluster. */
const CLUSTER_CACHE_MS = 5_000;
/** Seconds from creation to claim: from a round trip to an hour in the queue. */
const LATENCY_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600,
];

export class Metrics implements Telemetry {
  readonly #registry = new Registry();
  readonly #deliveries = this.#counter('orch_deliveries_total', 'deliveries from the queue');
  readonly #redeliveries = this.#counter(
    'orch_redeliveries_total',
    'deliveries of a message that had been delivered before',
  );
  readonly #renewals = this.#counter('orch_lease_renewals_total', 'renewals of leases on tasks');
  readonly #fenced = this.#counter(
    'orch_fenced_writes_total',
    'completions rejected because the lease was lost',
  );
  readonly #attempts = new Counter({
    name: 'orch_attempts_total',
    help: 'attempts that ended, by the state that followed',
    labelNames: ['state'],
    registers: [this.#registry],
  });
  readonly #latency = new Histogram({
    name: 'orch_claim_latency_seconds',
    help: 'time from the creation of a task to the claim of its first attempt, by the clocks of both',
    buckets: LATENCY_BUCKETS,
    registers: [this.#registry],
  });

  delivered(deliveryCount: number): void {
    this.#deliveries.inc();
    if (deliveryCount > 1) this.#redeliveries.inc();
  }

  claimed({ attempt, createdAt, claimedAt, notBefore }: TaskRecord): void {
    if (attempt !== 1 || notBefore !== undefined || claimedAt === undefined) return;
    this.#latency.observe(Math.max(0, Date.parse(claimedAt) - Date.parse(createdAt)) / 1_000);
  }

  renewed(): void {
    this.#renewals.inc();
  }

  ended({ state }: TaskRecord, how: 'written' | 'fenced'): void {
    if (how === 'fenced') this.#fenced.inc();
    else this.#attempts.inc({ state });
  }

  /** Starts to report on a daemon and, while it does the chores, on the cluster. */
  watch(daemon: Daemon, bus: Bus): void {
    collectDefaultMetrics({ register: this.#registry });
    const { worker, presence, janitor } = daemon;
    this.#gauge('orch_running', 'attempts that are running', () => worker.running);
    this.#gauge('orch_slots', 'attempts that can run at once', () => worker.slots);
    this.#gauge('orch_node_utilisation', 'share of the slots in use, 0 to 1', () =>
      Math.min(1, worker.running / worker.slots),
    );
    this.#gauge('orch_reconnects', 'reconnects to the server since the start', () => bus.server.reconnects);
    this.#gauge('orch_connected', '1 while connected to a server', () => Number(bus.server.isConnected));
    this.#gauge(
      'orch_heartbeat_age_seconds',
      'time since the server acknowledged the last heartbeat',
      () => presence.heartbeatAgeMs / 1_000,
    );
    this.#gauge('orch_chore_holder', '1 while this node does the chores', () => Number(janitor.isHolder));
    this.#labelled('orch_chore_done', 'actions of each chore on this node', ['chore'], () =>
      [...janitor.counts].map(([chore, { done }]) => [{ chore }, done]),
    );
    this.#labelled('orch_chore_failures', 'failures of each chore since its last success', ['chore'], () =>
      [...janitor.counts].map(([chore, { failures }]) => [{ chore }, failures]),
    );
    this.#watchCluster(daemon, bus);
  }

  /** Everything in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #watchCluster({ janitor }: Daemon, bus: Bus): void {
    let [cached, readAt] = [Promise.resolve<ClusterFigures>(NOTHING), Number.NEGATIVE_INFINITY];
    const figures = (): Promise<ClusterFigures> => {
      // A scrape must not wait for an unreachable server.
      if (!janitor.isHolder || !bus.server.isConnected) return Promise.resolve(NOTHING);
      if (performance.now() - readAt > CLUSTER_CACHE_MS) {
        readAt = performance.now();
        // Where the cluster cannot be read, a scrape still reports the node.
        cached = clusterFigures(bus).catch(() => NOTHING);
      }
      return cached;
    };
    this.#labelled(
      'orch_tasks',
      'tasks by state and lane',
      ['state', 'lane', 'priority'],
      async () => (await figures()).tasks,
    );
    this.#labelled(
      'orch_lane_waiting',
      'tasks waiting for a worker',
      ['lane', 'priority'],
      async () => (await figures()).waiting,
    );
    this.#labelled(
      'orch_lane_in_flight',
      'tasks running, delayed or in backoff',
      ['lane', 'priority'],
      async () => (await figures()).inFlight,
    );
    this.#labelled(
      'orch_lane_idle_workers',
      'workers waiting for a task',
      ['lane', 'priority'],
      async () => (await figures()).idle,
    );
    this.#labelled('orch_nodes', 'nodes by state', ['state'], async () => (await figures()).nodes);
    this.#labelled(
      'orch_findings',
      'errors and warnings about the cluster, as `orch status` lists them',
      ['severity'],
      async () => (await figures()).findings,
    );
    this.#labelled(
      'orch_claimed_pending_ratio',
      'claimed tasks per waiting task; NaN when none waits',
      [],
      async () => (await figures()).ratio,
    );
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  #labelled(name: string, help: string, labelNames: string[], read: () => Figures | Promise<Figures>): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      async collect() {
        this.reset();
        const figures = await read();
        for (const [labels, value] of figures) this.set(labels, value);
      },
    });
  }
}

type Figures = [Record<string, string>, number][];

interface ClusterFigures {
  tasks: Figures;
  waiting: Figures;
  inFlight: Figures;
  idle: Figures;
  nodes: Figures;
  findings: Figures;
  ratio: Figures;
}

/** Not 0: the figures are unknown, or no task waits. */
const NO_RATIO: Figures = [[{}, Number.NaN]];
const NOTHING: ClusterFigures = {
  tasks: [],
  waiting: [],
  inFlight: [],
  idle: [],
  nodes: [],
  findings: [],
  ratio: NO_RATIO,
};

async function clusterFigures(bus: Bus): Promise<ClusterFigures> {
  const [tasks, nodes, { lanes, degraded }] = await Promise.all([
    listTasks(bus),
    readNodes(bus),
    readStatus(bus),
  ]);
  const claimed = tasks.filter(({ state }) => isActive(state)).length;
  const pending = tasks.filter(({ state }) => isWaiting(state)).length;
  const byLane = (read: (lane: (typeof lanes)[number]) => number): Figures =>
    lanes.map(lane => [{ lane: lane.lane, priority: lane.priority }, read(lane)]);
  return {
    tasks: counted(tasks, ({ state, lane, priority }) => ({ state, lane, priority })),
    waiting: byLane(({ waiting }) => waiting),
    inFlight: byLane(({ inFlight }) => inFlight),
    idle: byLane(({ idleWorkers }) => idleWorkers),
    nodes: counted(nodes, ({ presence, record }) => ({
      state: presence === 'live' ? (record?.state ?? 'ready') : presence,
    })),
    findings: SEVERITIES.filter(severity => isDegradation({ severity })).map(severity => [
      { severity },
      degraded.filter(finding => finding.severity === severity).length,
    ]),
    ratio: pending === 0 ? NO_RATIO : [[{}, claimed / pending]],
  };
}

function counted<T>(items: readonly T[], labelsOf: (item: T) => Record<string, string>): Figures {
  const counts = new Map<string, [Record<string, string>, number]>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    counts.set(key, [labels, (counts.get(key)?.[1] ?? 0) + 1]);
  }
  return [...counts.values()];
}
