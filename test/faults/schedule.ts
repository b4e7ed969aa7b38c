// The faults of a run: a seed gives which, of what, when and for how long. Pure.
// Promises: one target has one fault at a time; of three servers two are never away for long at once; every fault is over
// before the end of the run, so that what is checked then is a fleet that had nothing but faults that heal.
import { LEASE_MS, NODES, PUBLISHERS } from './fleet.ts';
import type { Random } from './random.ts';

/** For each kind of fault: what it befalls, how often it comes compared to the others, and for how long. */
const KINDS = {
  'worker-kill': { of: 'worker', weight: 5, forMs: [200, 6_000] },
  'worker-term': { of: 'worker', weight: 4, forMs: [200, 3_000] },
  'worker-term-twice': { of: 'worker', weight: 2, forMs: [200, 2_000] },
  'worker-pause-short': { of: 'worker', weight: 3, forMs: [300, LEASE_MS / 2] },
  'worker-pause-long': { of: 'worker', weight: 4, forMs: [1.5 * LEASE_MS, 3 * LEASE_MS] },
  'clock-step': { of: 'worker', weight: 3, forMs: [2_000, 10_000] },
  'link-cut': { of: 'client', weight: 3, forMs: [500, 2.5 * LEASE_MS] },
  'link-half-open': { of: 'client', weight: 4, forMs: [500, 2.5 * LEASE_MS] },
  'link-refused': { of: 'client', weight: 2, forMs: [200, 6_000] },
  'link-slow': { of: 'client', weight: 2, forMs: [2_000, 8_000] },
  'publisher-kill': { of: 'publisher', weight: 2, forMs: [100, 1_000] },
  'server-kill': { of: 'server', weight: 4, forMs: [200, 5_000] },
  'server-term': { of: 'server', weight: 2, forMs: [200, 4_000] },
  'server-kill-two': { of: 'servers', weight: 3, forMs: [4_000, 9_000] },
  'disk-full': { of: 'server', weight: 2, forMs: [1_000, 5_000] },
  delete: { of: 'cluster', weight: 3, forMs: [0, 0] },
} as const;

export type FaultKind = keyof typeof KINDS;
export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

export interface Fault {
  kind: FaultKind;
  /** When it begins, from the beginning of the run. */
  atMs: number;
  /** How long it is until it is healed. */
  forMs: number;
  /** A node, a publisher, `server-<n>`, or what is deleted. */
  target: string;
  /** What the kind needs beside: which way, by how much, which of several. */
  detail: Readonly<Record<string, number | string | boolean>>;
}

export interface ScheduleOptions {
  durationMs: number;
  servers: 1 | 3;
  kinds: readonly FaultKind[];
}

/** Pauses between two beginnings. */
const GAP_MS = [800, 3_500] as const;
/** After its fault a target is left alone for a moment, so that it is sometimes well. */
const REST_MS = 2_500;
/** A server that was killed has to come back and catch up. */
const SERVER_REST_MS = 8_000;
const WARM_UP_MS = 2_000;

/** What may be deleted: all that can be made again from what is left. */
export const DELETABLE = [
  'board',
  'nodes-bucket',
  'agents-bucket',
  'leases-bucket',
  'output',
  'lane-consumer',
  'node-key',
  'chores-lease',
] as const;
export type Deletable = (typeof DELETABLE)[number];

/** All faults of a run in the order in which they begin. */
export function planFaults(random: Random, options: ScheduleOptions): Fault[] {
  const usable = options.kinds.filter(kind => kind !== 'server-kill-two' || options.servers === 3);
  const faults: Fault[] = [];
  const busyUntil = new Map<string, number>();
  let bag: FaultKind[] = [];
  for (let atMs = WARM_UP_MS; atMs < options.durationMs; atMs += Math.round(random.between(...GAP_MS))) {
    // A bag of all kinds, as many of each as its weight, so that a short run has many kinds, too.
    if (bag.length === 0)
      bag = random.shuffled(usable.flatMap(kind => Array<FaultKind>(KINDS[kind].weight).fill(kind)));
    // The next kind that something can befall now; those before it stay in the bag.
    for (const [index, kind] of bag.entries()) {
      const fault = planFault(random, kind, atMs, options, busyUntil);
      if (!fault) continue;
      faults.push(fault);
      bag.splice(index, 1);
      break;
    }
  }
  return faults;
}

function planFault(
  random: Random,
  kind: FaultKind,
  atMs: number,
  { durationMs, servers }: ScheduleOptions,
  busyUntil: Map<string, number>,
): Fault | undefined {
  const { of, forMs: range } = KINDS[kind];
  const free = targetsOf(of, servers).filter(target => (busyUntil.get(lockOf(target)) ?? 0) <= atMs);
  const forMs = Math.round(random.between(range[0], range[1]));
  if (free.length === 0 || atMs + forMs > durationMs) return undefined;
  const target = random.pick(free);
  busyUntil.set(lockOf(target), atMs + forMs + (of.startsWith('server') ? SERVER_REST_MS : REST_MS));
  return { kind, atMs, forMs, target, detail: detailOf(random, kind, servers) };
}

// All servers are one target: two of three that are away at once are a fault of its own.
const lockOf = (target: string): string => (target.startsWith('server-') ? 'servers' : target);

function targetsOf(of: (typeof KINDS)[FaultKind]['of'], servers: number): string[] {
  const workers = NODES.map(({ id }) => id);
  const all = Array.from({ length: servers }, (_, index) => `server-${index}`);
  const targets = {
    worker: workers,
    client: [...workers, ...PUBLISHERS],
    publisher: [...PUBLISHERS],
    server: all,
    servers: all,
    cluster: [...DELETABLE],
  };
  return targets[of];
}

const CLOCK_STEPS_MS = [-7_200_000, -60_000, -5_000, 5_000, 60_000, 7_200_000];

function detailOf(random: Random, kind: FaultKind, servers: number): Fault['detail'] {
  switch (kind) {
    case 'clock-step':
      return { byMs: random.pick(CLOCK_STEPS_MS) };
    case 'link-cut':
      return { thenReset: random.chance(0.3), ...oneLink(random, servers) };
    case 'link-half-open':
      return {
        towards: random.pick(['server', 'client']),
        thenReset: random.chance(0.5),
        ...oneLink(random, servers),
      };
    case 'link-refused':
      return oneLink(random, servers);
    case 'link-slow':
      return { byMs: random.integer(100, 900), ...oneLink(random, servers) };
    case 'server-kill-two':
      return { other: random.integer(1, 2), gapMs: random.integer(300, 3_000) };
    case 'delete':
      return { which: random.integer(0, 1_000_000) };
    default:
      return {};
  }
}

// Of three servers a client loses one or all.
const oneLink = (random: Random, servers: number): { only?: number } =>
  servers > 1 && random.chance(0.4) ? { only: random.integer(0, servers - 1) } : {};

/** A fault in words, for a line of the report. */
export function describeFault({ kind, target, forMs, detail }: Fault): string {
  const rest = Object.entries(detail).map(([key, value]) => `${key}=${value}`);
  return [kind, target, ...(forMs > 0 ? [`${(forMs / 1_000).toFixed(1)}s`] : []), ...rest].join(' ');
}
