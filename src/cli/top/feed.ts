// Feeds the store: reads the cluster once a second, and follows events as they come.
// Promises: reads never overlap; at most half of the time is spent reading; events that come faster than a person can
// read are left out; an unreachable server is reported, and tried again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { readStatus } from '../../cluster/index.ts';
import {
  isActive,
  laneConsumer,
  messageOf,
  OrchError,
  TASK_STATES,
  type TaskRecord,
} from '../../protocol/index.ts';
import { getTask, listTasks, type TaskLine, taskHistory } from '../../tasks/index.ts';
import { perform } from './acts.ts';
import type { EventRead } from './events.ts';
import { Listener } from './listener.ts';
import { OutputTail, readLastLines } from './output.ts';
import { type Act, type Found, type Notice, openPage, type Target, type Update } from './picture.ts';
import type { Store } from './store.ts';
import { shownTasks } from './view.ts';

const READ_EVERY_MS = 1_000;
/** A server that takes longer than this to answer is reported. */
const LATE_MS = 2_000;
/** Events keep the list of tasks current; it is read again this often all the same, since an event can be lost. */
const LIST_MS = 10_000;
/** Where reading the list takes long, it takes no more than a twentieth of the time ... */
const LIST_PAUSE = 20;
/** ... or a fifth, where events were left out or waiting tasks are shown. */
const LIST_PAUSE_STALE = 4;
/** A read takes less, unless the server is unreachable. */
const STOP_MS = 1_000;
/** Of the waiting tasks of an open lane, the oldest are kept, up to this number. */
const WAITING_MAX = 500;

const ACTIVE = TASK_STATES.filter(isActive);
const WAITING = ['queued', 'retrying'] as const;

export class Feed {
  readonly #bus: Bus;
  readonly #store: Store;
  readonly #actor: string;
  readonly #stopping = new AbortController();
  readonly #closing: (() => void)[] = [];
  #hurry = new AbortController();
  #reconnects = 0;
  /** When the list of tasks is due, and how long the last read of it took. */
  #listAt = 0;
  #listTookMs = 0;
  /** Tasks whose events came while their list was being read: the list may be older. */
  #meanwhile: TaskRecord[] | undefined;
  #reading: Promise<void> | undefined;
  #page: Target | undefined;
  #tail: { id: string; output: OutputTail } | undefined;

  constructor(bus: Bus, store: Store, actor: string) {
    this.#bus = bus;
    this.#store = store;
    this.#actor = actor;
  }

  start(): void {
    const listener = new Listener(this.#bus, (events, isComplete) => this.#onEvents(events, isComplete));
    this.#closing.push(
      () => listener.stop(),
      this.#bus.server.onReconnect(() => this.#onReconnect()),
      this.#store.subscribe(() => this.#onPicture()),
    );
    this.#reading = this.#run();
  }

  /** Stops at once. Resolves when no request is under way, or when no answer can be expected. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#hurry.abort();
    for (const close of this.#closing.splice(0)) close();
    if (this.#store.get().trouble !== undefined) return;
    // A request that is made after the connection closed would delay the exit until it times out.
    await Promise.race([this.#reading, sleep(STOP_MS, undefined, { ref: false })]);
  }

  /** Starts the next read now, or as soon as the one under way ends. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Carries out an act, and shows its outcome. */
  async act(act: Act): Promise<void> {
    this.#notice({ text: `${act.verb} ${act.verb === 'cancel' ? act.task : act.node} ...`, isError: false });
    this.#notice(await perform(this.#bus, act, this.#actor));
    this.hurry();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#hurry = new AbortController();
      const began = performance.now();
      await this.#readAll();
      const tookMs = performance.now() - began;
      const pauseMs = Math.max(READ_EVERY_MS - tookMs, tookMs);
      await sleep(pauseMs, undefined, { signal: this.#hurry.signal }).catch(() => {});
    }
  }

  async #readAll(): Promise<void> {
    const began = performance.now();
    const late = setInterval(() => {
      const waitedMs = performance.now() - began;
      if (waitedMs >= LATE_MS) this.#trouble(`waiting for the server, ${Math.round(waitedMs / 1_000)} s`);
    }, 500);
    // Waits for all, also when one fails: reads must not overlap.
    const parts = await Promise.allSettled([this.#readStatus(), this.#readTasks(), this.#readTask()]);
    clearInterval(late);
    const failed = parts.find(({ status }) => status === 'rejected');
    if (failed) this.#listWithin(0);
    this.#trouble(failed && messageOf((failed as PromiseRejectedResult).reason));
  }

  async #readStatus(): Promise<void> {
    const status = await readStatus(this.#bus);
    this.#update({ type: 'status', status });
  }

  async #readTasks(): Promise<void> {
    if (performance.now() >= this.#listAt) await this.#readList();
    const lines = await readLastLines(this.#bus, shownTasks(this.#store.get()));
    this.#update({ type: 'lines', lines });
  }

  // The most expensive read: the whole board.
  async #readList(): Promise<void> {
    const began = performance.now();
    this.#listAt = Number.POSITIVE_INFINITY;
    this.#meanwhile = [];
    const page = openPage(this.#store.get());
    const states = page?.kind === 'lane' ? [...ACTIVE, ...WAITING] : ACTIVE;
    const tasks = await listTasks(this.#bus, { states });
    this.#update({ type: 'tasks', tasks: tasks.filter(({ state }) => isActive(state)) });
    this.#update({ type: 'changed', tasks: this.#meanwhile });
    this.#meanwhile = undefined;
    if (page?.kind === 'lane') this.#update({ type: 'found', found: waitingIn(page.id, tasks) });
    this.#listTookMs = performance.now() - began;
    this.#listWithin(Math.max(LIST_MS, LIST_PAUSE * this.#listTookMs));
  }

  #listWithin(ms: number): void {
    this.#listAt = Math.min(this.#listAt, performance.now() + ms);
  }

  async #readTask(): Promise<void> {
    const page = openPage(this.#store.get());
    if (page?.kind !== 'task') {
      this.#tail = undefined;
      return;
    }
    const { id } = page;
    if (this.#tail?.id !== id) this.#tail = { id, output: new OutputTail(this.#bus, id) };
    try {
      const [record, history, output] = await Promise.all([
        getTask(this.#bus, id),
        taskHistory(this.#bus, id),
        this.#tail.output.read(),
      ]);
      this.#update({ type: 'found', found: { kind: 'task', id, record, history, output } });
    } catch (error) {
      if (!(error instanceof OrchError && error.code === 'not_found')) throw error;
      this.#update({ type: 'found', found: { kind: 'missing', id, why: error.message } });
    }
  }

  // Reads what was opened at once.
  #onPicture(): void {
    const page = openPage(this.#store.get());
    if (page?.kind === this.#page?.kind && page?.id === this.#page?.id) return;
    this.#page = page;
    if (page?.kind === 'lane') this.#listWithin(0);
    if (page) this.hurry();
  }

  #onEvents(events: readonly EventRead[], isComplete: boolean): void {
    const tasks = events.flatMap(({ task }) => task ?? []);
    this.#update({ type: 'events', events: events.map(({ line }) => line) });
    this.#update({ type: 'changed', tasks });
    this.#meanwhile?.push(...tasks);
    // Events do not keep the waiting tasks of a lane current.
    const isWaitingChanged = tasks.length > 0 && openPage(this.#store.get())?.kind === 'lane';
    if (!isComplete || isWaitingChanged) this.#listWithin(LIST_PAUSE_STALE * this.#listTookMs);
  }

  #onReconnect(): void {
    const key = `reconnect ${++this.#reconnects}`;
    const at = new Date().toISOString();
    const text = { who: '', what: 'reconnected', why: 'events in between are not shown' };
    this.#update({ type: 'events', events: [{ key, at, target: undefined, ...text }] });
    this.#listWithin(0);
    this.hurry();
  }

  #trouble(trouble: string | undefined): void {
    this.#update({ type: 'trouble', trouble });
  }

  #notice(notice: Notice): void {
    this.#update({ type: 'notice', notice });
  }

  #update(update: Update): void {
    if (!this.#stopping.signal.aborted) this.#store.update(update);
  }
}

function waitingIn(consumer: string, tasks: readonly TaskLine[]): Found {
  const waiting = tasks.filter(
    ({ state, priority, lane }) => !isActive(state) && laneConsumer(priority, lane) === consumer,
  );
  return { kind: 'lane', id: consumer, tasks: waiting.slice(0, WAITING_MAX), total: waiting.length };
}
