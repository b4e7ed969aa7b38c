// Brings deliveries to free slots. Lanes that are known to hold tasks are asked in order of priority, without waiting;
// on all others one pull stays open, so that an idle worker is served the moment a task comes.
// Promises: high before medium before low; a delivery is kept only where a slot is free, what is surplus is given back at
// once, and is the first to be asked for again; a pull is never cancelled, only let run out.
import type { Bus, Delivery, LanePull, PullEnd } from '../../bus/index.ts';
import { messageOf, PRIORITIES, type Priority } from '../../protocol/index.ts';
import { rankFor } from '../../tasks/index.ts';
import type { Logger } from '../service/index.ts';

/** Advisories about new lanes are best effort; this often the list is read in any case. */
const REFRESH_MS = 30_000;
const REFRESH_DEBOUNCE_MS = 50;
/** After a pull that found no consumer or no leader. */
const LOST_PAUSE_MS = 500;

interface Lane {
  consumer: string;
  priority: Priority;
  leaseMs: number;
  /** Spare capabilities of this worker: those with fewer are served first, so that the rare ones stay free. */
  rank: number;
  pull: LanePull;
  /** Tasks are known, or not yet known not, to wait there. */
  isHot: boolean;
  /** How many slots an open request without waiting may fill. */
  asked: number;
  /** Surplus deliveries that are on their way back: to ask for them now would find the lane empty. */
  returning: number;
  /** A pull found no consumer or no leader just now. */
  isPaused: boolean;
}

export interface DispatcherOptions {
  capabilities: readonly string[];
  slots: number;
  logger: Logger;
  /** Runs one delivery; its slot is free again when `free` is called, and when the promise settles. It must not reject. */
  run(delivery: Delivery, leaseMs: number, free: () => void): Promise<void>;
}

export class Dispatcher {
  readonly #bus: Bus;
  readonly #options: DispatcherOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #undo: (() => void)[] = [];
  #refreshTimer: NodeJS.Timeout | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #running = 0;
  #isOpen = false;

  constructor(bus: Bus, options: DispatcherOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  get lanes(): string[] {
    return [...this.#lanes.keys()].sort();
  }

  /** Returns when the lanes are known and asked. */
  async start(): Promise<void> {
    this.#isOpen = true;
    this.#undo.push(
      this.#bus.lanes.onCreated(() => this.#refreshSoon(REFRESH_DEBOUNCE_MS)),
      this.#bus.server.onReconnect(() => {
        for (const lane of this.#lanes.values()) lane.pull.reset();
        this.#refreshSoon(0);
      }),
    );
    await this.#refresh();
  }

  /** Takes no more deliveries; what open pulls still bring is given back. */
  pause(): void {
    this.#isOpen = false;
    clearTimeout(this.#refreshTimer);
    this.#refreshAt = Number.POSITIVE_INFINITY;
  }

  /** Takes deliveries again. */
  resume(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    void this.#refresh();
  }

  /** Returns when nothing more can be delivered. */
  async close(): Promise<void> {
    this.pause();
    for (const undo of this.#undo.splice(0)) undo();
    await Promise.all([...this.#lanes.values()].map(lane => lane.pull.close()));
    this.#lanes.clear();
  }

  // Never later than it was due already: lanes that are made all the time must be seen all the same.
  #refreshSoon(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (!this.#isOpen || at >= this.#refreshAt) return;
    this.#refreshAt = at;
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => void this.#refresh(), delayMs);
  }

  async #refresh(): Promise<void> {
    this.#refreshAt = Number.POSITIVE_INFINITY;
    try {
      for (const { consumer, priority, lane, leaseMs } of await this.#bus.lanes.list()) {
        const rank = rankFor(lane, this.#options.capabilities);
        if (rank !== undefined && !this.#lanes.has(consumer)) this.#add(consumer, priority, leaseMs, rank);
      }
    } catch (error) {
      this.#options.logger.warn({ error: messageOf(error) }, 'cannot read the list of lanes');
    }
    if (!this.#isOpen) return;
    this.#refreshSoon(REFRESH_MS);
    this.#fill();
  }

  #add(consumer: string, priority: Priority, leaseMs: number, rank: number): void {
    const pull = this.#bus.lanes.pull(consumer, {
      onDelivery: delivery => this.#receive(lane, delivery),
      onEnd: end => this.#pullEnded(lane, end),
    });
    const lane: Lane = {
      consumer,
      priority,
      leaseMs,
      rank,
      pull,
      isHot: true,
      asked: 0,
      returning: 0,
      isPaused: false,
    };
    this.#lanes.set(consumer, lane);
    this.#options.logger.debug({ lane: consumer }, 'serving lane');
  }

  #fill(): void {
    let free = this.#options.slots - this.#running;
    if (!this.#isOpen || free <= 0) return;
    for (const priority of PRIORITIES) {
      for (const lane of this.#lanes.values()) {
        if (lane.priority !== priority || lane.isPaused) continue;
        if (lane.returning > 0) free -= lane.returning;
        else if (lane.isHot && !lane.pull.isOpen && free > 0) {
          lane.asked = free;
          lane.pull.request({ batch: free, noWait: true, rank: lane.rank });
        } else if (!lane.isHot && !lane.pull.isOpen) {
          lane.pull.request({ batch: 1, noWait: false, rank: lane.rank });
        }
        // What a lane of higher priority was asked for, or will be, is not offered to those below it.
        free -= lane.asked;
      }
    }
  }

  #receive(lane: Lane, delivery: Delivery): void {
    lane.isHot = delivery.pending > 0;
    if (!this.#isOpen || this.#freeFor(lane) <= 0) {
      lane.isHot = true;
      void this.#giveBack(lane, delivery);
      return;
    }
    if (lane.asked > 0) lane.asked--;
    this.#running++;
    let isFree = false;
    const free = () => {
      if (isFree) return;
      isFree = true;
      this.#running--;
      this.#fill();
    };
    void this.#options.run(delivery, lane.leaseMs, free).finally(free);
  }

  async #giveBack(lane: Lane, delivery: Delivery): Promise<void> {
    lane.returning++;
    await delivery.giveBack();
    lane.returning--;
    this.#fill();
  }

  // Slots that lanes of higher priority were just asked to fill, or will be, are not free for this one.
  #freeFor(lane: Lane): number {
    let free = this.#options.slots - this.#running;
    for (const other of this.#lanes.values()) {
      if (PRIORITIES.indexOf(other.priority) < PRIORITIES.indexOf(lane.priority))
        free -= other.asked + other.returning;
    }
    return free;
  }

  #pullEnded(lane: Lane, end: PullEnd): void {
    lane.asked = 0;
    if (end === 'empty') lane.isHot = false;
    if (end === 'lost') {
      lane.isHot = true;
      lane.isPaused = true;
      setTimeout(() => {
        lane.isPaused = false;
        this.#fill();
      }, LOST_PAUSE_MS);
      return;
    }
    this.#fill();
  }
}
