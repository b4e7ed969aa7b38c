// Drives the load of a run: hands each task to its publishers when it is due, notes what was acknowledged, and acts as
// the operator who cancels and retries.
import { setTimeout as sleep } from 'node:timers/promises';
import { PUBLISHERS, type PublisherName } from './fleet.ts';
import { lineOf, type PlannedTask } from './load.ts';
import { Publisher } from './publisher.ts';
import type { World } from './world.ts';

const TICK_MS = 50;
/** Tasks of one `orch cancel` and of one `orch retry`. */
const CANCELS_MAX = 50;
const RETRIES_MAX = 10;
const RETRY_AGAIN_MS = 3_000;
const RETRY_TRIES_MAX = 3;
const CLOSE_MS = 90_000;

interface Due {
  id: string;
  /** By performance.now(). */
  at: number;
  tries: number;
}

export class Drive {
  readonly acknowledged = new Set<string>();
  /** Tasks whose cancel was acknowledged as the end of the task. */
  readonly cancelled = new Set<string>();
  /** How often the retry of a task was acknowledged. */
  readonly retried = new Map<string, number>();
  readonly #world: World;
  readonly #tasks: readonly PlannedTask[];
  readonly #byId: ReadonlyMap<string, PlannedTask>;
  readonly #publishers: ReadonlyMap<PublisherName, Publisher>;
  readonly #cancels: Due[] = [];
  readonly #retries: Due[] = [];
  #operator: Promise<void> | undefined;
  #isOver = false;

  constructor(world: World, tasks: readonly PlannedTask[]) {
    this.#world = world;
    this.#tasks = tasks;
    this.#byId = new Map(tasks.map(task => [task.id, task]));
    this.#publishers = new Map(
      PUBLISHERS.map(name => [name, new Publisher(world, name, ({ id }) => this.#acknowledge(id))]),
    );
  }

  publisher(name: string): Publisher | undefined {
    return this.#publishers.get(name as PublisherName);
  }

  get publisherEnds(): number {
    return [...this.#publishers.values()].reduce((sum, { ends }) => sum + ends, 0);
  }

  /** Publishes each task when it is due; returns when the last was handed over, or the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const began = performance.now();
    this.#operator = this.#operate();
    let next = 0;
    while (next < this.#tasks.length && !signal.aborted) {
      const elapsedMs = performance.now() - began;
      for (let task = this.#tasks[next]; task && task.atMs <= elapsedMs; task = this.#tasks[++next]) {
        const line = lineOf(task, new Date());
        for (const name of task.publishers) this.publisher(name)?.publish(task.id, line);
      }
      await sleep(TICK_MS);
    }
  }

  /** Waits, at most so long, for all that is pending to be acknowledged, and for the operator. */
  async close(): Promise<void> {
    await Promise.all([...this.#publishers.values()].map(publisher => publisher.close(CLOSE_MS)));
    this.#isOver = true;
    await this.#operator;
  }

  #acknowledge(id: string): void {
    if (this.acknowledged.has(id)) return;
    this.acknowledged.add(id);
    const task = this.#byId.get(id);
    const now = performance.now();
    if (task?.cancelAfterMs !== undefined) this.#cancels.push({ id, at: now + task.cancelAfterMs, tries: 0 });
    for (const afterMs of task?.retryAfterMs ?? []) this.#retries.push({ id, at: now + afterMs, tries: 0 });
  }

  // One command at a time, until nothing more is due.
  async #operate(): Promise<void> {
    while (!this.#isOver || this.#cancels.length + this.#retries.length > 0) {
      const now = performance.now();
      const cancels = takeDue(this.#cancels, now, CANCELS_MAX);
      if (cancels.length > 0) await this.#cancel(cancels.map(({ id }) => id));
      const retries = takeDue(this.#retries, now, RETRIES_MAX);
      if (retries.length > 0) await this.#retry(retries);
      if (cancels.length + retries.length === 0) await sleep(TICK_MS);
    }
  }

  async #cancel(ids: readonly string[]): Promise<void> {
    for (const answer of readLines<{ id: string; cancelled: boolean }>(await this.#world.cancel(ids)))
      if (answer.cancelled) this.cancelled.add(answer.id);
  }

  // One that has not failed yet, or that no server answered for, is tried again later.
  async #retry(all: readonly Due[]): Promise<void> {
    const answers = readLines<{ id: string }>(await this.#world.retry(all.map(({ id }) => id)));
    const retried = new Set(answers.map(({ id }) => id));
    for (const due of all) {
      if (retried.has(due.id)) this.retried.set(due.id, (this.retried.get(due.id) ?? 0) + 1);
      else if (due.tries + 1 < RETRY_TRIES_MAX)
        this.#retries.push({ ...due, at: performance.now() + RETRY_AGAIN_MS, tries: due.tries + 1 });
    }
  }
}

// Those that are due, each id once: its next turn comes with the next command.
function takeDue(all: Due[], now: number, max: number): Due[] {
  const due = new Map<string, Due>();
  for (const one of all) if (one.at <= now && !due.has(one.id) && due.size < max) due.set(one.id, one);
  for (const one of due.values()) all.splice(all.indexOf(one), 1);
  return [...due.values()];
}

function readLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as T);
}
