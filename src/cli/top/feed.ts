// Brings news of the cluster to the store: all of it once a second, events as they come.
// Promises: never two rounds at once; at most half of the time is spent asking; what comes faster than a person can
// read is left out; a server that is away is said to be, and waited for.
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
import type { Heard } from './events.ts';
import { Listener } from './listener.ts';
import { OutputTail, readLastLines } from './output.ts';
import { type Act, type Found, type News, type Notice, openPage, type Target } from './picture.ts';
import type { Store } from './store.ts';
import { shownTasks } from './view.ts';

const ROUND_MS = 1_000;
/** A server that takes longer than this to answer is said to. */
const LATE_MS = 2_000;
/** Events tell what becomes of the tasks; their list is read again this often all the same, for a word may be lost. */
const LIST_MS = 10_000;
/** Where the list takes long to read, it is read for no more than a twentieth of the time ... */
const LIST_PAUSE = 20;
/** ... or a fifth, where events were left out or the tasks that wait are looked at. */
const LIST_PAUSE_STALE = 4;
/** A round takes less, unless the server is away. */
const STOP_MS = 1_000;
/** Of the tasks that wait in an open lane, the oldest so many are kept. */
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
  /** When the list of tasks is to be read again, and how long it took. */
  #listAt = 0;
  #listTookMs = 0;
  /** What is heard of tasks while their list is read: the list may be older than that. */
  #meanwhile: TaskRecord[] | undefined;
  #rounds: Promise<void> | undefined;
  #page: Target | undefined;
  #tail: { id: string; output: OutputTail } | undefined;

  constructor(bus: Bus, store: Store, actor: string) {
    this.#bus = bus;
    this.#store = store;
    this.#actor = actor;
  }

  start(): void {
    const listener = new Listener(this.#bus, (heard, isComplete) => this.#onHeard(heard, isComplete));
    this.#closing.push(
      () => listener.stop(),
      this.#bus.server.onReconnect(() => this.#onReconnect()),
      this.#store.subscribe(() => this.#onPicture()),
    );
    this.#rounds = this.#run();
  }

  /** Nothing is heard any more. Resolves when nothing is asked any more, or where no answer comes. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#hurry.abort();
    for (const close of this.#closing.splice(0)) close();
    if (this.#store.get().trouble !== undefined) return;
    // A request that is made when the connection is closed already holds up the exit until it times out.
    await Promise.race([this.#rounds, sleep(STOP_MS, undefined, { ref: false })]);
  }

  /** The next round begins now, or as soon as the one under way ends. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Does what was asked for, and says what came of it. */
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
      await this.#round();
      const tookMs = performance.now() - began;
      const pauseMs = Math.max(ROUND_MS - tookMs, tookMs);
      await sleep(pauseMs, undefined, { signal: this.#hurry.signal }).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const began = performance.now();
    const late = setInterval(() => {
      const waitedMs = performance.now() - began;
      if (waitedMs >= LATE_MS) this.#trouble(`waiting for the server, ${Math.round(waitedMs / 1_000)} s`);
    }, 500);
    // All are waited for, also when one fails: the next round must not meet them.
    const parts = await Promise.allSettled([this.#readStatus(), this.#readTasks(), this.#readTask()]);
    clearInterval(late);
    const failed = parts.find(({ status }) => status === 'rejected');
    if (failed) this.#listWithin(0);
    this.#trouble(failed && messageOf((failed as PromiseRejectedResult).reason));
  }

  async #readStatus(): Promise<void> {
    const status = await readStatus(this.#bus);
    this.#hear({ type: 'status', status });
  }

  async #readTasks(): Promise<void> {
    if (performance.now() >= this.#listAt) await this.#readList();
    const lines = await readLastLines(this.#bus, shownTasks(this.#store.get()));
    this.#hear({ type: 'lines', lines });
  }

  // The dearest thing to read: it takes the board of all tasks that there ever were.
  async #readList(): Promise<void> {
    const began = performance.now();
    this.#listAt = Number.POSITIVE_INFINITY;
    this.#meanwhile = [];
    const page = openPage(this.#store.get());
    const states = page?.kind === 'lane' ? [...ACTIVE, ...WAITING] : ACTIVE;
    const tasks = await listTasks(this.#bus, { states });
    this.#hear({ type: 'tasks', tasks: tasks.filter(({ state }) => isActive(state)) });
    this.#hear({ type: 'changed', tasks: this.#meanwhile });
    this.#meanwhile = undefined;
    if (page?.kind === 'lane') this.#hear({ type: 'found', found: waitingIn(page.id, tasks) });
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
      this.#hear({ type: 'found', found: { kind: 'task', id, record, history, output } });
    } catch (error) {
      if (!(error instanceof OrchError && error.code === 'not_found')) throw error;
      this.#hear({ type: 'found', found: { kind: 'missing', id, why: error.message } });
    }
  }

  // What is opened is read at once.
  #onPicture(): void {
    const page = openPage(this.#store.get());
    if (page?.kind === this.#page?.kind && page?.id === this.#page?.id) return;
    this.#page = page;
    if (page?.kind === 'lane') this.#listWithin(0);
    if (page) this.hurry();
  }

  #onHeard(heard: readonly Heard[], isComplete: boolean): void {
    const tasks = heard.flatMap(({ task }) => task ?? []);
    this.#hear({ type: 'events', events: heard.map(({ line }) => line) });
    this.#hear({ type: 'changed', tasks });
    this.#meanwhile?.push(...tasks);
    // What waits in a lane is not followed by events.
    const isWaitingChanged = tasks.length > 0 && openPage(this.#store.get())?.kind === 'lane';
    if (!isComplete || isWaitingChanged) this.#listWithin(LIST_PAUSE_STALE * this.#listTookMs);
  }

  #onReconnect(): void {
    const key = `reconnect ${++this.#reconnects}`;
    const at = new Date().toISOString();
    const said = { who: '', what: 'reconnected', why: 'what happened in between is not shown' };
    this.#hear({ type: 'events', events: [{ key, at, target: undefined, ...said }] });
    this.#listWithin(0);
    this.hurry();
  }

  #trouble(trouble: string | undefined): void {
    this.#hear({ type: 'trouble', trouble });
  }

  #notice(notice: Notice): void {
    this.#hear({ type: 'notice', notice });
  }

  #hear(news: News): void {
    if (!this.#stopping.signal.aborted) this.#store.hear(news);
  }
}

function waitingIn(consumer: string, tasks: readonly TaskLine[]): Found {
  const waiting = tasks.filter(
    ({ state, priority, lane }) => !isActive(state) && laneConsumer(priority, lane) === consumer,
  );
  return { kind: 'lane', id: consumer, tasks: waiting.slice(0, WAITING_MAX), total: waiting.length };
}
