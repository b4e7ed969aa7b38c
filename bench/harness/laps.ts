// Rounds of laps: each side in turn, again and again, so that what slows the machine for a while slows all of them. A
// lap is one task from publishing to its end. The first round is not counted: it warms up the compiler, the connections
// and the server's files.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDuration } from '../../src/protocol/index.ts';
import type { SideName, Stage, Tags } from '../settings.ts';
import { LANE, type Publisher, payload } from '../sides/index.ts';
import type { Bench, Contestant } from './bench.ts';
import type { Account, Books } from './books.ts';
import { Flights } from './flights.ts';
import { constant } from './load.ts';
import { type Section, Trend } from './report.ts';
import { Meter, type Usage } from './usage.ts';

/** At the start of each turn, not counted: the side before it has left the caches. */
const WARM_UP_MS = 200;
/** Between turns: what the last side still has under way comes to rest. */
const REST_MS = 50;
/** Where writes are synced later, the last side's sync is waited for, up to this. */
const REST_MS_MAX = 1_500;

/**
 * Scenarios at a low rate: few tasks are ever on their way together, but a side that is slow for a moment
 * gets the next ones all the same.
 */
export const LOW = { slots: 10, inFlightMax: 1_000 };

/** Publishes one task and returns when it has ended. Latency counts from `intendedAt`; default now. */
export type Lap = (intendedAt?: number) => Promise<void>;

/** What one turn of one side measured. */
export interface Turn {
  /** From the intended start to the handler. */
  toStart: Trend;
  /** From the intended start to the acknowledgement, or to the result where laps are round trips. */
  toEnd: Trend;
  /** Ended after the warm-up, up to the last one of the load. */
  tasks: number;
  perSecond: number;
  usage: Usage;
}

/** Drives one side: starts laps until the stages are over. */
export type Drive = (stages: readonly Stage[], lap: Lap) => Promise<void>;

/** A side that is open for laps. */
export interface Runner {
  contestant: Contestant;
  flights: Flights;
  account: Account;
  publisher: Publisher;
  close(): Promise<void>;
}

export interface LapsOptions {
  books: Books;
  /** Tasks that a worker may run at once. */
  slots: number;
  /** Default: the one lane. Laps go through them in turn. */
  lanes?: readonly string[];
  /** A lap ends when the publisher sees the result; sides that cannot are left out. */
  isRoundtrip?: boolean;
}

export interface RoundsOptions extends LapsOptions {
  /** Called when a lap's task is published. */
  onLap?: (side: SideName, id: string, intendedAt: number, isMeasured: boolean) => void;
  /** The load of one turn, where the flags give no stages: users, or tasks a second. */
  target: number;
  drive: Drive;
}

/** Runs all rounds and yields what each measured. */
export async function* rounds(bench: Bench, options: RoundsOptions): AsyncGenerator<Map<SideName, Turn>> {
  const { durationMs, stages } = bench.settings;
  const count = bench.rounds;
  const runners = await openRunners(bench, options);
  try {
    for (const runner of runners) await visitLanes(runner, options);
    for (let round = 0; round <= count; round++) {
      const turns = new Map<SideName, Turn>();
      for (const runner of runners) {
        await rest(bench);
        const load =
          stages ?? constant(options.target, WARM_UP_MS + (round === 0 ? durationMs / 2 : durationMs));
        const warmUpMs = stages ? 0 : WARM_UP_MS;
        const { name } = runner.contestant.side;
        const onLap = (id: string, at: number) => options.onLap?.(name, id, at, round > 0);
        turns.set(name, await takeTurn(runner, options, warmUpMs, load, onLap));
      }
      if (round > 0) yield turns;
    }
  } finally {
    for (const runner of runners) await runner.close();
  }
}

// A lane is made by its first task, which is not what is measured.
async function visitLanes(runner: Runner, options: RoundsOptions): Promise<void> {
  const { lanes = [LANE] } = options;
  if (lanes.length === 1) return;
  const drive: Drive = async (_stages, lap) => {
    await Promise.all(lanes.map(() => lap()));
  };
  await takeTurn(runner, { ...options, drive }, 0, []);
}

/** What the last turn left to be written is not the next one's. */
export async function rest({ settings, sync }: Bench): Promise<void> {
  const syncMs = sync === 'always' || settings.isSmoke ? 0 : parseDuration(sync, '--sync');
  await sleep(Math.min(syncMs + REST_MS, REST_MS_MAX));
}

/** Opens a publisher and a worker of each side; returns when all are ready. */
export async function openRunners(bench: Bench, options: LapsOptions): Promise<Runner[]> {
  const runners: Runner[] = [];
  for (const contestant of bench.contestants) {
    const { side, served } = contestant;
    const publisher = await side.openPublisher(served.url, { results: options.isRoundtrip === true });
    if (options.isRoundtrip && !publisher.roundtrip) {
      await publisher.close();
      continue;
    }
    const account = options.books.of(side.name);
    const flights = account.watch(new Flights());
    const { slots, lanes = [LANE] } = options;
    const worker = await side.openWorker(served.url, { slots, hooks: flights, lanes });
    const close = async () => {
      await worker.close();
      await publisher.close();
      flights.close();
    };
    runners.push({ contestant, flights, account, publisher, close });
  }
  return runners;
}

/** One side's turn: the load of the stages, of which what begins within the warm-up is not counted. */
export async function takeTurn(
  { contestant, flights, account, publisher }: Runner,
  { lanes = [LANE], isRoundtrip = false, drive }: LapsOptions & { drive: Drive },
  warmUpMs: number,
  stages: readonly Stage[],
  onLap: (id: string, intendedAt: number) => void = () => {},
): Promise<Turn> {
  const toStart = new Trend();
  const toEnd = new Trend();
  const measureFrom = performance.now() + warmUpMs;
  let lastEnd = measureFrom;
  let tasks = 0;
  const meter = new Meter(contestant.served.pid);
  const send = async (n: number) =>
    isRoundtrip && publisher.roundtrip
      ? await publisher.roundtrip(payload(n))
      : await publisher.publish(payload(n), lanes[n % lanes.length]);
  const lap: Lap = async (intendedAt = performance.now()) => {
    const isMeasured = intendedAt >= measureFrom;
    if (isMeasured) meter.start();
    const flight = flights.take();
    const published = send(flight.n).then(id => {
      onLap(id, intendedAt);
      return { id, at: performance.now() };
    });
    const [{ id, at }] = await Promise.all([published, flight.over]);
    account.published.add(id);
    // A lost task has no times; the books report it.
    if (flight.endedAt === 0) return;
    const endedAt = isRoundtrip ? at : flight.endedAt;
    if (endedAt >= measureFrom) {
      tasks++;
      lastEnd = Math.max(lastEnd, endedAt);
    }
    if (!isMeasured) return;
    toStart.add(flight.startedAt - intendedAt);
    toEnd.add(endedAt - intendedAt);
  };
  await drive(stages, lap);
  // On a machine that was too busy to start any within the turn, it is one task long.
  if (toStart.count === 0) await lap();
  const perSecond = tasks / ((lastEnd - measureFrom) / 1_000);
  return { toStart, toEnd, tasks, perSecond, usage: meter.stop() };
}

/** One line a round, so that a run that takes long is seen to go on. */
export function printRound<T>(
  title: string,
  turns: ReadonlyMap<SideName, T>,
  figure: (turn: T) => string,
): void {
  const figures = [...turns].map(([side, turn]) => `${side} ${figure(turn)}`);
  process.stderr.write(`${title}: ${figures.join('  ')}\n`);
}

/** Records percentiles of a latency: all rounds together, and each round's p50 and p99 with their ratios. */
export function recordLatency<T>(
  section: Section,
  name: string,
  turns: ReadonlyMap<SideName, T>,
  pick: (turn: T) => Trend,
  tags: Tags = {},
): void {
  for (const [side, turn] of turns) section.trend(`${name}_latency`, { side, ...tags }).merge(pick(turn));
  for (const percent of [50, 99])
    section.figures(
      `${name}_p${percent}`,
      'ms',
      mapped(turns, turn => pick(turn).percentile(percent)),
      tags,
    );
}

/** For each side, the p50 of each round at the first level. */
export type Baseline = Map<SideName, number[]>;

/** Records how a round's p50 compares with that of the same round at the first level, and returns it. */
export function recordGrowth(
  section: Section,
  name: string,
  baseline: Baseline,
  round: number,
  turns: ReadonlyMap<SideName, Turn>,
  tags: Tags,
): Map<SideName, number> {
  return new Map(
    [...turns].map(([side, { toStart }]) => {
      const p50s = baseline.get(side) ?? [];
      baseline.set(side, p50s);
      p50s[round] ??= toStart.percentile(50);
      const growth = toStart.percentile(50) / p50s[round];
      section.perRound(`${name}_growth`, 'x', { side, ...tags }).add(growth);
      return [side, growth];
    }),
  );
}

/** Records what a task took of processor and memory. */
export function recordUsage(
  section: Section,
  name: string,
  turns: ReadonlyMap<SideName, { tasks: number; usage: Usage }>,
  tags: Tags = {},
): void {
  for (const [side, { tasks, usage }] of turns) {
    const all = { side, ...tags };
    const perTask = (us: number) => us / Math.max(1, tasks);
    section.perRound(`${name}_client_cpu`, 'µs', all).add(perTask(usage.clientCpuUs));
    if (usage.serverCpuUs === undefined || usage.serverBytes === undefined) continue;
    section.perRound(`${name}_server_cpu`, 'µs', all).add(perTask(usage.serverCpuUs));
    section.perRound(`${name}_server_memory`, 'MB', all).add(usage.serverBytes / 1e6);
  }
}

/** The same map with other values. */
export const mapped = <T, R>(map: ReadonlyMap<SideName, T>, change: (value: T) => R): Map<SideName, R> =>
  new Map([...map].map(([key, value]) => [key, change(value)]));
