// A side is one way to get a task from its publisher to a worker and to its end, on a server of its own. All sides are
// driven and watched alike: publisher and worker run in this process on connections of their own, and carry the same
// payload. What a side cannot do (a result that the publisher sees, lanes) it leaves out, and scenarios leave it out.
import type { SideName } from '../settings.ts';

/** What a task carries: its number in this run, and bytes up to PAYLOAD_BYTES. */
export interface Payload {
  n: number;
  filler: string;
}

export const PAYLOAD_BYTES = 200;
const FILLER = 'x'.repeat(PAYLOAD_BYTES - '{"n":1234567,"filler":""}'.length);

export const payload = (n: number): Payload => ({ n, filler: FILLER });

/** Where a task goes by default. */
export const LANE = 'any';

/** `any`, `lane-1`, `lane-2` and so on. */
export const laneName = (index: number): string => (index === 0 ? LANE : `lane-${index}`);

/** The reverse of `laneName`; NaN for another name. */
export const laneIndex = (lane: string): number =>
  lane === LANE ? 0 : Number(/^lane-(\d+)$/.exec(lane)?.[1]);

/** How long an attempt may stay silent on the sides whose setting it is; the default of orch. */
export const LEASE_MS = 15_000;

/** A side that cannot run here. `message` names what is missing and how to get it. */
export class Absent extends Error {
  override readonly name = 'Absent';
}

/** By name: peers are bundled by themselves and have a class of their own. */
export const isAbsent = (error: unknown): error is Absent =>
  error instanceof Error && error.name === 'Absent';

/** What a worker calls. */
export interface Hooks {
  /** The handler's first line. A promise holds the handler until it settles. */
  started(n: number): Promise<void> | undefined;
  /** The end is written and the acknowledgement sent. */
  ended(n: number): void;
  /** The task will not end, for this reason. */
  failed(n: number, error: unknown): void;
}

export interface ServeOptions {
  /** An empty folder, which the caller removes. */
  dataDir: string;
  /** `always`: the disk has each write before it is acknowledged; else how seldom it is synced, such as `1000ms`. */
  sync: string;
  natsServer: string;
  /** Default LEASE_MS. */
  leaseMs?: number;
}

/** The servers behind a `Served.url`. */
export const serversOf = (url: string): string[] => url.split(',');

/** A server that runs. */
export interface Served {
  /** Several with commas between them where it is a cluster. */
  url: string;
  pid: number;
  /** Version and settings. */
  facts: string;
  stop(): Promise<void>;
}

export interface Publisher {
  /** Returns the id when the task is as safe as the server's sync makes it. */
  publish(payload: Payload, lane?: string): Promise<string>;
  /** Many in one call. */
  publishMany?(payloads: readonly Payload[], lane?: string): Promise<string[]>;
  /** Publishes and returns the id when the result is here. */
  roundtrip?(payload: Payload): Promise<string>;
  close(): Promise<void>;
}

export interface WorkerOptions {
  /** Tasks that may run at once. */
  slots: number;
  hooks: Hooks;
  lanes: readonly string[];
  /** Default LEASE_MS. */
  leaseMs?: number;
}

export interface Side {
  readonly name: SideName;
  /** Has queues that a worker may or may not serve. */
  readonly hasLanes: boolean;
  /** Starts a server and makes what the side needs. Throws Absent. */
  serve(options: ServeOptions): Promise<Served>;
  /** `results`: its `roundtrip` will be used. */
  openPublisher(url: string, options?: { results?: boolean }): Promise<Publisher>;
  /** Returns when the worker is ready. Its `close` returns when it has stopped. */
  openWorker(url: string, options: WorkerOptions): Promise<{ close(): Promise<void> }>;
  /** Watches all tasks and calls back for each that ends. Returns when nothing more is missed. */
  openTail?(url: string, onEnd: (id: string) => void): Promise<{ close(): Promise<void> }>;
  /** How many tasks wait or run. */
  left(url: string): Promise<number>;
  /** How often each task has ended by the side's own records; undefined: it keeps none. */
  finals?(url: string): Promise<Map<string, number>>;
  /** Does at once what its server would do by itself within minutes of a large change. */
  settle?(url: string): Promise<void>;
  /** Removes all tasks that wait. */
  clear(url: string): Promise<void>;
}
