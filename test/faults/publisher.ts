// A publisher of a run: a process of the command that reads tasks from its stdin, and is started again when it ends. What
// was not acknowledged is published again under the same ids, as its user would.
import { createInterface } from 'node:readline';
import type { Child } from './child.ts';
import type { PublisherName } from './fleet.ts';
import type { World } from './world.ts';

const RESTART_MS = 500;

export interface Acknowledged {
  id: string;
  created: boolean;
}

export class Publisher {
  readonly name: PublisherName;
  readonly #world: World;
  readonly #onAck: (ack: Acknowledged) => void;
  /** Lines that are not acknowledged, by the id of their task. */
  readonly #pending = new Map<string, string>();
  #child: Child | undefined;
  #isClosing = false;
  #restart: NodeJS.Timeout | undefined;
  /** How often it ended while it was needed. */
  ends = 0;

  constructor(world: World, name: PublisherName, onAck: (ack: Acknowledged) => void) {
    this.#world = world;
    this.name = name;
    this.#onAck = onAck;
    this.#start();
  }

  get pending(): number {
    return this.#pending.size;
  }

  publish(id: string, line: string): void {
    this.#pending.set(id, line);
    if (this.#child && !this.#child.exit) this.#child.stdin.write(`${line}\n`);
  }

  /** `kill -9`; it comes back by itself. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** Publishes what is pending; returns when all of it is acknowledged, or the time is over. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosing = true;
    const deadline = performance.now() + timeoutMs;
    this.#child?.stdin.end();
    for (;;) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) break;
      const exit = await this.#child?.endsWithin(leftMs);
      if (exit && this.#pending.size === 0) break;
      if (!exit) continue;
      await new Promise(resolve => setTimeout(resolve, RESTART_MS));
      this.#start();
      this.#child?.stdin.end();
    }
    clearTimeout(this.#restart);
    this.kill();
  }

  #start(): void {
    clearTimeout(this.#restart);
    const child = this.#world.startPublisher(this.name);
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', line => this.#read(line));
    for (const line of this.#pending.values()) child.stdin.write(`${line}\n`);
    void child.exited.then(() => {
      if (this.#isClosing) return;
      this.ends++;
      this.#restart = setTimeout(() => this.#start(), RESTART_MS);
    });
  }

  #read(line: string): void {
    let ack: Acknowledged;
    try {
      ack = JSON.parse(line) as Acknowledged;
    } catch {
      // The last line of one that was killed may be half a line; its task is published again.
      return;
    }
    this.#pending.delete(ack.id);
    this.#onAck(ack);
  }
}
