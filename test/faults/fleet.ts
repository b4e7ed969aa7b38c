// The fleet that a run breaks: its workers, its publishers, the lanes, and the times that the faults are measured by.

export interface Node {
  readonly id: string;
  readonly capabilities: readonly string[];
  /** `handler` runs tasks in process, `exec` as a command of each. */
  readonly runner: 'handler' | 'exec';
  readonly concurrency: number;
}

/** Every lane has two workers at least, so that one may be gone for long. */
export const NODES: readonly Node[] = [
  { id: 'n1', capabilities: ['blue', 'red'], runner: 'handler', concurrency: 8 },
  { id: 'n2', capabilities: ['blue', 'red'], runner: 'handler', concurrency: 8 },
  { id: 'n3', capabilities: ['blue'], runner: 'handler', concurrency: 8 },
  { id: 'n4', capabilities: ['red', 'shell'], runner: 'exec', concurrency: 4 },
  { id: 'n5', capabilities: ['shell'], runner: 'exec', concurrency: 4 },
];

export const PUBLISHERS = ['pub-a', 'pub-b'] as const;
export type PublisherName = (typeof PUBLISHERS)[number];
/** Who cancels and retries. */
export const OPERATOR = 'operator';

/** Required capabilities of each lane, and how many of a hundred tasks it gets. */
export const LANES: Readonly<Record<string, number>> = {
  '': 30,
  red: 25,
  blue: 25,
  'blue+red': 14,
  shell: 6,
};

/** Short, so that leases run out and nodes are lost often within minutes. */
export const LEASE_MS = 4_000;
export const HEARTBEAT_MS = 1_000;
export const EXPIRY_MS = 4_000;
export const DRAIN_TIMEOUT_MS = 2_000;
export const GRACE_MS = 1_000;

/** Pauses between attempts, short for the same reason; also the longest wait that an entry may ask for. */
export const BACKOFF = { baseMs: 200, factor: 2, maxMs: 1_000 };
