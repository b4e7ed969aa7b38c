// The library's face: a connection, and one method for each thing that can be done with it. The bus stays behind it.
import { type Bus, openBus, type ProvisionOptions, type ServerOptions } from '../bus/index.ts';
import { type GatherOptions, recallFromAll } from '../cluster/index.ts';
import { defaultActor } from '../config/index.ts';
import { memoryClient } from '../memory/index.ts';
import { isFinal, parseId } from '../protocol/index.ts';
import * as tasks from '../tasks/index.ts';
import {
  type EventFilter,
  type EventKind,
  type EventsByKind,
  followEvents,
  type TaskEvent,
  taskEvent,
} from './events.ts';
import { type AgentMemory, agentMemory, type MemoryAddress, type RecallAllQuestion } from './memory.ts';
import type { GatheredReply, TaskRecord } from './shapes.ts';
import type {
  ActorOption,
  Cancelled,
  OutputLine,
  OutputOptions,
  Published,
  SignalOption,
  TaskFilter,
  TaskLine,
  TaskSpec,
} from './tasks.ts';
import { type RunningWorker, startWorker, type WorkerOptions } from './worker.ts';

/** Where the server is, who is calling, and what streams are like where they must be created. */
export interface ConnectOptions extends ServerOptions, ProvisionOptions {
  /** In whose name tasks are published, cancelled and retried: one token; default: the user of this process. */
  actor?: string;
}

let open: (bus: Bus, actor: string) => Orch;

/**
 * Connects to NATS. Default `nats://127.0.0.1:4222`; after that a lost server is reconnected to for ever.
 * Throws OrchError: `unavailable`, `unsupported` (too old, or no JetStream), `denied` or `usage`.
 */
export async function connect(options: ConnectOptions = {}): Promise<Orch> {
  const { actor = defaultActor(), ...where } = options;
  parseId(actor, 'actor');
  return open(await openBus(where), actor);
}

/**
 * A connection to orch, made by `connect`. Every method throws OrchError: `unavailable` where the server does not answer
 * in time, `denied` where the credentials do not allow it, and what its own line names. It is an async disposable.
 */
export class Orch {
  static {
    open = (bus, actor) => new Orch(bus, actor);
  }

  readonly #bus: Bus;
  readonly #actor: string;

  private constructor(bus: Bus, actor: string) {
    this.#bus = bus;
    this.#actor = actor;
  }

  /**
   * Publishes a task; returns when it is stored. Throws `usage` for a field that is not allowed, `too_large` over
   * 512 KiB, and `unavailable` where the queue did not acknowledge: publishing the same id again is then safe.
   */
  async publishTask(spec: TaskSpec, options: ActorOption = {}): Promise<Published> {
    return tasks.publishTask(this.#bus, { ...spec }, this.#actorOf(options));
  }

  /**
   * Publishes a task and returns its record when it has ended, in whatever way: `state` is `done`, `failed` or
   * `cancelled`. Quicker than `publishTask` followed by `waitForTask`. Where the id was published before, it waits for
   * that task. Throws as `publishTask`; when the signal aborts, its reason where that is an OrchError, else `timeout`.
   * The task goes on then.
   */
  async publishAndWait(spec: TaskSpec, options: ActorOption & SignalOption = {}): Promise<TaskRecord> {
    const { signal = never() } = options;
    return tasks.publishAndWait(this.#bus, { ...spec }, this.#actorOf(options), signal);
  }

  /** Returns a task's record when it has ended. Throws `not_found`, and as `publishAndWait` when the signal aborts. */
  async waitForTask(taskId: string, options: SignalOption = {}): Promise<TaskRecord> {
    return tasks.waitForTask(this.#bus, parseId(taskId, 'task id'), options.signal ?? never());
  }

  /**
   * Yields what happened to a task and what happens to it, oldest first, until it has ended or the signal aborts.
   * Throws `not_found`.
   *
   * @example
   * ```ts
   * import { connect } from 'orch';
   *
   * await using orch = await connect({ servers: ['nats://127.0.0.1:4222'] });
   * const { id } = await orch.publishTask({ input: 'echo hello' });
   * for await (const { type, actor } of orch.watchTask(id)) {
   *   console.log(type, actor);
   *   if (type === 'queued') await orch.cancel(id, { reason: 'not needed' });
   * }
   * ```
   */
  async *watchTask(taskId: string, options: SignalOption = {}): AsyncIterable<TaskEvent> {
    const { signal = never() } = options;
    await this.getTask(taskId);
    for await (const line of tasks.followTask(this.#bus, taskId, signal)) yield taskEvent(line);
  }

  /** Returns a task's record. Throws `not_found`. */
  async getTask(taskId: string): Promise<TaskRecord> {
    return tasks.getTask(this.#bus, parseId(taskId, 'task id'));
  }

  /** Returns the tasks that match, oldest first. The most expensive read: it goes over all tasks that are kept. */
  async listTasks(filter: TaskFilter = {}): Promise<TaskLine[]> {
    return tasks.listTasks(this.#bus, filter);
  }

  /** Returns what happened to a task so far, oldest first; nothing for a task that is not known. */
  async taskHistory(taskId: string): Promise<TaskEvent[]> {
    return (await tasks.taskHistory(this.#bus, parseId(taskId, 'task id'))).map(taskEvent);
  }

  /**
   * Yields what a task printed, oldest first; with `follow` also what it prints, until it ends or the signal aborts.
   * Throws `not_found`.
   */
  async *output(taskId: string, options: OutputOptions = {}): AsyncIterable<OutputLine> {
    const { follow = false, signal = never() } = options;
    const { state } = await this.getTask(taskId);
    if (!follow || isFinal(state)) {
      yield* tasks.taskOutput(this.#bus, taskId);
      return;
    }
    // A loop that is left early must end the wait too.
    const left = new AbortController();
    const until = AbortSignal.any([left.signal, signal]);
    try {
      yield* tasks.outputToEnd(this.#bus, taskId, tasks.waitForTask(this.#bus, taskId, until), until);
    } finally {
      left.abort();
    }
  }

  /** Cancels a task in any state that is not final; a worker that runs it stops it. Throws `not_found`. */
  async cancel(taskId: string, options: ActorOption & { reason?: string } = {}): Promise<Cancelled> {
    const id = parseId(taskId, 'task id');
    return tasks.cancelTask(this.#bus, id, this.#actorOf(options), options.reason);
  }

  /**
   * Brings a failed task back with all its attempts; returns its record. Throws `conflict` where it has not failed,
   * `not_found` where it is not known or its input is no longer kept.
   */
  async retry(taskId: string, options: ActorOption = {}): Promise<TaskRecord> {
    return tasks.retryTask(this.#bus, parseId(taskId, 'task id'), this.#actorOf(options));
  }

  /**
   * Starts a node in this process; returns when it is ready for tasks. Stop it before closing the connection.
   * Throws `usage`, and `conflict` where a live node has its name.
   */
  async runWorker(options: WorkerOptions): Promise<RunningWorker> {
    return startWorker(this.#bus, options);
  }

  /**
   * An agent's memory: its own, or another's as far as that one's visibility allows. Nothing is asked yet. In a handler:
   * `orch.memory({ as: context.agent })`.
   */
  memory(address: MemoryAddress): AgentMemory {
    const { as, agent = as } = address;
    return agentMemory(memoryClient(this.#bus, { as, agent }));
  }

  /**
   * Asks all memories that `as` may read, as `AgentMemory.recall` asks one. Ends when all have answered, and at the
   * deadline (default 500 ms) at the latest, with what came; `missing` names the nodes that did not answer.
   */
  async recallAll(question: RecallAllQuestion, options: GatherOptions = {}): Promise<GatheredReply> {
    return recallFromAll(this.#bus, 'recall', { ...question }, options);
  }

  /** Asks all memories that `as` may read, as `AgentMemory.search` asks one, within the same deadline. */
  async searchAll(question: RecallAllQuestion, options: GatherOptions = {}): Promise<GatheredReply> {
    return recallFromAll(this.#bus, 'search', { ...question }, options);
  }

  /**
   * Yields what happens to tasks, nodes and agents until the signal aborts: in order, and without a gap where the server
   * was away. Throws `usage` for an id that is not allowed.
   *
   * @example
   * ```ts
   * import { connect } from 'orch';
   *
   * await using orch = await connect({ servers: ['nats://127.0.0.1:4222'] });
   * await orch.publishTask({ input: 'echo hello' });
   * const anHourAgo = new Date(Date.now() - 3_600_000);
   * for await (const { id, actor } of orch.events({ kind: 'task', type: 'queued', since: anHourAgo })) {
   *   console.log(`${actor} published ${id}`);
   *   break;
   * }
   * ```
   */
  events<K extends EventKind = EventKind>(filter: EventFilter<K> = {}): AsyncIterable<EventsByKind[K]> {
    return followEvents(this.#bus, filter, filter.signal ?? never());
  }

  /** Sends what is buffered and closes the connection; safe to call twice. */
  async close(): Promise<void> {
    await this.#bus.close();
  }

  /** The same as `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #actorOf({ actor }: ActorOption): string {
    return actor === undefined ? this.#actor : parseId(actor, 'actor');
  }
}

const never = (): AbortSignal => new AbortController().signal;
