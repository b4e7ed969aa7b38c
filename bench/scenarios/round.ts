// Rounds: each side in turn, again and again, so that what slows the machine for a while slows all of them.
// The first round is not counted: it warms up the compiler, the connections and the server's files.
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../audit.ts';
import type { Settings } from '../command-line.ts';
import { CpuMeter, type CpuPerTask } from '../cpu.ts';
import type { Environment } from '../environment.ts';
import { constant, type Stage } from '../load.ts';
import { type Report, Trend } from '../report.ts';
import { Flights, openSide, payload, type Side, type SideName } from '../sides/index.ts';

/** At the start of each turn, not counted: the side before it has left the caches. */
const WARM_UP_MS = 200;
/** Between turns: what the last side still has under way comes to rest. */
const REST_MS = 50;

/** Publishes one task and returns when it has ended. Latency counts from `intendedAt`; default now. */
export type Lap = (intendedAt?: number) => Promise<void>;

/** What one turn of one side measured. */
export interface Turn {
  /** From the intended start to the handler. */
  toStart: Trend;
  /** From the intended start to the acknowledgement. */
  toEnd: Trend;
  /** Ended after the warm-up, up to the last one of the load. */
  tasks: number;
  perSecond: number;
  cpu: CpuPerTask;
}

/** Drives one side: starts laps until the stages are over. */
export type Drive = (stages: readonly Stage[], lap: Lap) => Promise<void>;

/** Collects what all turns of a scenario published, for the audit at its end. */
export class Books {
  readonly #published = new Map<SideName, Set<string>>();
  readonly #flights = new Map<SideName, Flights[]>();

  ids(side: SideName): Set<string> {
    return entryOf(this.#published, side, () => new Set());
  }

  flights(side: SideName): Flights[] {
    return entryOf(this.#flights, side, () => []);
  }

  /** Holds the streams against what was published. */
  async close(environment: Environment, report: Report, scenario: string): Promise<void> {
    for (const [side, ids] of this.#published) {
      const checks = await audit(environment.observer, side, ids, this.flights(side));
      report.checks.push(...checks.map(check => ({ ...check, name: `${scenario}, ${check.name}` })));
    }
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}

export interface RoundsOptions {
  /** Tasks that may be in flight. */
  slots: number;
  /** The load of one turn, where the flags give no stages: users, or tasks a second. */
  target: number;
  drive: Drive;
  books: Books;
}

/** Runs all rounds and yields what each measured. */
export async function* rounds(
  { url, serverPid, orch }: Environment,
  { rounds: count, durationMs, sides: names, stages }: Settings,
  { slots, target, drive, books }: RoundsOptions,
): AsyncGenerator<Map<SideName, Turn>> {
  const sides: { side: Side; flights: Flights }[] = [];
  try {
    for (const name of names) {
      const flights = new Flights();
      books.flights(name).push(flights);
      sides.push({ side: await openSide(name, orch, { url, slots, hooks: flights }), flights });
    }
    for (let round = 0; round <= count; round++) {
      const turns = new Map<SideName, Turn>();
      for (const { side, flights } of sides) {
        await sleep(REST_MS);
        const load = stages ?? constant(target, WARM_UP_MS + (round === 0 ? durationMs / 2 : durationMs));
        const warmUpMs = stages ? 0 : WARM_UP_MS;
        const turn = await takeTurn(side, flights, books.ids(side.name), serverPid, warmUpMs, lap =>
          drive(load, lap),
        );
        turns.set(side.name, turn);
      }
      if (round > 0) yield turns;
    }
  } finally {
    for (const { side, flights } of sides) {
      await side.close();
      flights.close();
    }
  }
}

/** One line a round, so that a run that takes long is seen to go on. */
export function printRound(
  scenario: string,
  turns: ReadonlyMap<SideName, Turn>,
  figure: (turn: Turn) => string,
): void {
  const figures = [...turns].map(([side, turn]) => `${side} ${figure(turn)}`);
  process.stderr.write(`${scenario}: ${figures.join('  ')}\n`);
}

async function takeTurn(
  side: Side,
  flights: Flights,
  ids: Set<string>,
  serverPid: number,
  warmUpMs: number,
  drive: (lap: Lap) => Promise<void>,
): Promise<Turn> {
  const toStart = new Trend();
  const toEnd = new Trend();
  const measureFrom = performance.now() + warmUpMs;
  let lastEnd = measureFrom;
  let tasks = 0;
  const cpu = new CpuMeter(serverPid);
  const lap = async (intendedAt = performance.now()) => {
    const isMeasured = intendedAt >= measureFrom;
    if (isMeasured) cpu.start();
    const flight = flights.take();
    const [id] = await Promise.all([side.publish(payload(flight.n)), flight.over]);
    ids.add(id);
    // A lost task has no times; the audit reports it.
    if (flight.endedAt === 0) return;
    if (flight.endedAt >= measureFrom) {
      tasks++;
      lastEnd = Math.max(lastEnd, flight.endedAt);
    }
    if (!isMeasured) return;
    cpu.count();
    toStart.add(flight.startedAt - intendedAt);
    toEnd.add(flight.endedAt - intendedAt);
  };
  await drive(lap);
  return {
    toStart,
    toEnd,
    tasks,
    perSecond: tasks / ((lastEnd - measureFrom) / 1_000),
    cpu: cpu.perTask(),
  };
}
