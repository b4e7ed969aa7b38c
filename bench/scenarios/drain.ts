// drain: how fast is a queue emptied? Tasks are queued without a worker, then a worker starts: with one slot, 10,
// 100, and two processes with 50 each. What a worker has not done when its time is over is removed: a message that was on
// its way to it would come back to a later turn, after its lease.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from '../harness/bench.ts';
import { type Account, Books, settled } from '../harness/books.ts';
import { fill } from '../harness/fill.ts';
import { mapped, printRound, recordUsage, rest } from '../harness/laps.ts';
import type { Scenario } from '../harness/scenario.ts';
import { Meter, type Usage } from '../harness/usage.ts';
import { machineMs, startChild } from '../processes/child.ts';
import { OWN_SIDES, PEERS, type SideName } from '../settings.ts';
import { type Hooks, LANE, type Payload, payload } from '../sides/index.ts';

const QUEUED = { all: 20_000, smoke: 200 };
/** A turn that has not emptied the queue by then ends with its first task; its rate is of what it did. */
const TURN_MS_MAX = 5_000;
const PROCESSES = 2;
const PROCESS_SLOTS = 50;

interface Turn {
  tasks: number;
  perSecond: number;
  usage: Usage;
}

export const drain: Scenario = {
  about: 'tasks a second from a queue of 20,000, so many at once, and in two processes',
  rounds: 2,
  sides: [...OWN_SIDES, ...PEERS],
  levels: { of: 'tasks at once', all: [1, 10, 100], smoke: [1, 20], max: 1_000 },
  async run(bench, section, report) {
    const { settings } = bench;
    const books = new Books();
    const queues = bench.contestants.map(contestant => new Queue(contestant, books.of(contestant.side.name)));
    const processes = `${PROCESSES} processes`;
    for (const level of [...settings.levels.drain, processes]) {
      for (let round = 1; round <= bench.rounds; round++) {
        const turns = new Map<SideName, Turn>();
        for (const queue of queues) {
          await queue.fill(settings.isSmoke ? QUEUED.smoke : QUEUED.all);
          await rest(bench);
          turns.set(
            queue.side,
            await (typeof level === 'number' ? queue.drain(level) : queue.drainByChildren()),
          );
        }
        const tags = { at_once: level };
        section.figures(
          'drain',
          '/s',
          mapped(turns, turn => turn.perSecond),
          tags,
        );
        recordUsage(section, 'drain', turns, tags);
        printRound(`drain, ${level} at once`, turns, ({ perSecond }) => `${perSecond.toFixed(0)}/s`);
      }
    }
    for (const queue of queues) await queue.clear();
    await books.close(bench, report, 'drain');
  },
};

/** One side's queue, and what came out of it. */
class Queue {
  readonly #contestant: Contestant;
  readonly #account: Account;
  /** Ids by number. */
  readonly #ids: string[] = [];
  readonly #started = new Set<number>();
  #waiting = 0;

  constructor(contestant: Contestant, account: Account) {
    this.#contestant = contestant;
    this.#account = account;
  }

  get side(): SideName {
    return this.#contestant.side.name;
  }

  async fill(count: number): Promise<void> {
    const { side, served } = this.#contestant;
    await this.clear();
    const publisher = await side.openPublisher(served.url);
    let n = this.#ids.length;
    const onId = (input: Payload, id: string) => {
      this.#ids[input.n] = id;
    };
    await fill(publisher, count, () => payload(n++), { onId });
    await publisher.close();
    this.#waiting = count;
  }

  async drain(slots: number): Promise<Turn> {
    const { side, served } = this.#contestant;
    const meter = new Meter(served.pid);
    return this.#measure(meter, async notes => {
      const hooks: Hooks = {
        started: n => notes.started(n, machineMs()),
        ended: n => notes.ended(n, machineMs()),
        failed: notes.failed,
      };
      return side.openWorker(served.url, { slots, hooks, lanes: [LANE] });
    });
  }

  async drainByChildren(): Promise<Turn> {
    const { side, served } = this.#contestant;
    const pids: number[] = [];
    const meter = new Meter(served.pid, pids);
    return this.#measure(meter, async notes => {
      const orders = { side: side.name, url: served.url, slots: PROCESS_SLOTS, holds: false };
      const children = await Promise.all(Array.from({ length: PROCESSES }, () => startChild(orders, notes)));
      pids.push(...children.map(child => child.pid));
      return {
        close: async () => {
          await Promise.all(children.map(child => child.stop()));
        },
      };
    });
  }

  /** Removes what the last turn left. */
  async clear(): Promise<void> {
    if (this.#waiting === 0) return;
    this.#waiting = 0;
    await this.#contestant.side.clear(this.#contestant.served.url);
  }

  async #measure(
    meter: Meter,
    open: (notes: {
      started(n: number, atMs: number): undefined;
      ended(n: number, atMs: number): void;
      failed(n: number, error: unknown): void;
    }) => Promise<{ close(): Promise<void> }>,
  ): Promise<Turn> {
    const { side, served } = this.#contestant;
    let firstAt = 0;
    let lastAt = 0;
    let tasks = 0;
    let empty = () => {};
    const emptied = new Promise<void>(resolve => {
      empty = resolve;
    });
    let begin = () => {};
    const begun = new Promise<void>(resolve => {
      begin = resolve;
    });
    const worker = await open({
      started: (n, atMs) => {
        meter.start();
        firstAt = firstAt === 0 ? atMs : Math.min(firstAt, atMs);
        if (this.#started.has(n)) this.#account.doubled++;
        this.#started.add(n);
      },
      ended: (n, atMs) => {
        this.#account.published.add(this.#ids[n] ?? `unknown number ${n}`);
        this.#account.ran++;
        this.#waiting--;
        tasks++;
        lastAt = Math.max(lastAt, atMs);
        begin();
        if (this.#waiting === 0) empty();
      },
      failed: (n, error) => {
        this.#account.lost++;
        process.stderr.write(`${this.side}, task ${n}: ${String(error)}\n`);
      },
    });
    const over = new AbortController();
    const turn = sleep(TURN_MS_MAX, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([emptied, turn.then(() => begun)]);
    over.abort();
    // What a worker reports before it is written counts when the queue is empty by its own account.
    if (this.#waiting === 0) {
      await settled(() => side.left(served.url), 0);
      lastAt = machineMs();
    }
    const usage = meter.stop();
    await worker.close();
    return { tasks, perSecond: tasks / ((lastAt - firstAt) / 1_000), usage };
  }
}
