// The correctness of a run: was every task ended, and ended once? What was published is held against what the handlers
// saw, against what the side has left, and, where the side keeps records of ends, against these.
import { setTimeout as sleep } from 'node:timers/promises';
import type { SideName } from '../settings.ts';
import type { Bench, Contestant } from './bench.ts';
import type { Flights } from './flights.ts';
import type { Report } from './report.ts';

/** Acknowledgements are not waited for; on a busy machine they may be under way for so long. */
const ACKNOWLEDGED_MS = 30_000;
/** Between two looks. */
const PAUSE_MS = 5;
/** How many ids of a failed check are shown. */
const EXAMPLES = 3;

/** What one side did in one scenario. */
export class Account {
  /** Tasks that must have ended. */
  readonly published = new Set<string>();
  readonly #flights: Flights[] = [];
  /** Tasks that must still wait. */
  parked = 0;
  /** Handlers that ran to their end, starts of tasks that were started before, and tasks given up, seen otherwise. */
  ran = 0;
  doubled = 0;
  lost = 0;

  watch(flights: Flights): Flights {
    this.#flights.push(flights);
    return flights;
  }

  get totals(): { ran: number; doubled: number; lost: number } {
    const sum = (count: (flights: Flights) => number) =>
      this.#flights.reduce((total, one) => total + count(one), 0);
    return {
      ran: this.ran + sum(one => one.taken - one.lost),
      doubled: this.doubled + sum(one => one.doubled),
      lost: this.lost + sum(one => one.lost),
    };
  }
}

export class Books {
  readonly #accounts = new Map<SideName, Account>();

  of(side: SideName): Account {
    const account = this.#accounts.get(side) ?? new Account();
    this.#accounts.set(side, account);
    return account;
  }

  /** Checks all sides that have an account. */
  async close(bench: Bench, report: Report, scenario: string): Promise<void> {
    for (const contestant of bench.contestants) {
      const account = this.#accounts.get(contestant.side.name);
      if (account)
        await check(contestant, account, report, `${scenario} (${bench.sync}), ${contestant.side.name}`);
    }
  }
}

async function check(
  { side, served }: Contestant,
  account: Account,
  report: Report,
  title: string,
): Promise<void> {
  const { published, parked } = account;
  const { ran, doubled, lost } = account.totals;
  report.check(
    `${title}: every task ran once`,
    doubled === 0 && lost === 0 && published.size === ran,
    `${published.size} published, ${ran} ran, ${doubled} doubled, ${lost} lost`,
  );
  const left = await settled(() => side.left(served.url), parked);
  report.check(
    `${title}: the queue holds what must wait and nothing else`,
    left === parked,
    `${left} of ${parked} tasks left`,
  );
  if (!side.finals) return;
  const ends = await side.finals(served.url);
  const wrong = [...published].filter(id => ends.get(id) !== 1);
  const foreign = [...ends.keys()].filter(id => !published.has(id));
  report.check(
    `${title}: every task has exactly one final entry`,
    wrong.length === 0 && foreign.length === 0,
    [
      `${published.size} tasks, ${wrong.length} with none or several, ${foreign.length} unknown`,
      ...wrong.slice(0, EXAMPLES),
      ...foreign.slice(0, EXAMPLES),
    ].join(' '),
  );
}

/** Reads until the value is the wanted one, for as long as what is not waited for may be under way. */
export async function settled(read: () => Promise<number>, wanted: number): Promise<number> {
  const deadline = performance.now() + ACKNOWLEDGED_MS;
  for (;;) {
    const value = await read();
    if (value === wanted || performance.now() > deadline) return value;
    await sleep(PAUSE_MS);
  }
}
