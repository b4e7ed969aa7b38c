// What a run of the benchmark can be set to: the names of sides and scenarios, the load, thresholds, and all settings
// together. Every other file of the benchmark stands above this one.

/** The sides that need no packages of their own. */
export const OWN_SIDES = ['orch', 'bare', 'floor'] as const;
/** Other queues, with packages of their own in bench/peers. */
export const PEERS = ['bullmq', 'graphile-worker', 'graphile-local', 'pg-boss'] as const;
/** orch on other servers; the scenario durable has them. */
export type Variant = 'orch-1s' | 'orch-r3' | 'orch-r3-1s' | 'orch-newer';
/** A side by its name. */
export type SideName = (typeof OWN_SIDES)[number] | (typeof PEERS)[number] | Variant;

/** The scenarios, in the order in which they run. */
export const SCENARIO_NAMES = [
  'dispatch',
  'roundtrip',
  'throughput',
  'publish',
  'drain',
  'sustained',
  'lanes',
  'backlog',
  'recovery',
  'events',
  'presence',
  'recall',
  'scatter',
  'durable',
  'cli',
] as const;
/** A scenario by its name. */
export type ScenarioName = (typeof SCENARIO_NAMES)[number];
type LeveledName = Extract<
  ScenarioName,
  'throughput' | 'publish' | 'drain' | 'lanes' | 'backlog' | 'events' | 'presence' | 'scatter'
>;

/** Within `durationMs` the load moves in a straight line to `target`: users, or arrivals a second. */
export interface Stage {
  durationMs: number;
  target: number;
}

/** What tells apart the metrics of one name. */
export type Tags = Readonly<Record<string, string | number>>;

/** A limit that metrics are held against. */
export interface Threshold {
  /** As it was given: `throughput_ratio{in_flight:100,to:bare}`. */
  metric: string;
  name: string;
  tags: Tags;
  statistic: string;
  operator: '<=' | '>=' | '<' | '>';
  limit: number;
}

/** Everything a run depends on. */
export interface Settings {
  help: boolean;
  isSmoke: boolean;
  scenarios: ScenarioName[];
  sides: SideName[];
  syncs: string[];
  /** Measured rounds; one more, which is not counted, warms up. Undefined: the scenario's own. */
  rounds: number | undefined;
  /** Measured time of one side in one round. */
  durationMs: number;
  /** Replaces the duration: a ramp of arrivals per second or, in throughput, of virtual users. */
  stages: Stage[] | undefined;
  /** The sizes that a scenario goes through. */
  levels: Record<LeveledName, readonly number[]>;
  /** Tasks per second of the scenarios at a low rate. */
  ratePerSecond: number;
  natsServer: string | undefined;
  /** A nats-server of another version, which the scenario durable compares it with. */
  newerServer: string | undefined;
  /** Where the servers keep their data. */
  data: string | undefined;
  thresholds: Threshold[];
  summaryExport: string | undefined;
  /** Where to write the page; undefined: no page. */
  reportTo: string | undefined;
  /** Summaries to write the page from, in place of a run. */
  from: string[];
  /** The command line. */
  command: string;
}

/** What a run of the memory's benchmark depends on. */
export interface MemoryBenchSettings {
  /** Numbers of records, rising. */
  sizes: number[];
  /** Questions at each size. */
  queries: number;
}
