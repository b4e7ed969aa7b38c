// The groups of agents that ask. A group is what the agent's own key in `orch-agents` says, never what a question says.
import type { Bus } from '../bus/index.ts';
import { AGENTS } from '../protocol/index.ts';
import { readAgentRecord } from './record.ts';

/** An agent that leaves its group is let in for so long at most. */
const CACHE_MS = 2_000;
const CACHE_MAX = 10_000;

export class Groups {
  readonly #bus: Bus;
  readonly #known = new Map<string, { group: string | undefined; readAt: number }>();

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** The group of an agent as it was last read; undefined before, and for who has none. */
  of(agent: string): string | undefined {
    return this.#known.get(agent)?.group;
  }

  /** Reads an agent's group unless that was done just now. Throws `unavailable`. */
  async learn(agent: string): Promise<void> {
    const known = this.#known.get(agent);
    if (known && performance.now() - known.readAt < CACHE_MS) return;
    const found = await this.#bus.buckets
      .open(AGENTS)
      .get(agent, 'replica')
      .catch(error => {
        // Nobody is let in for want of an answer.
        this.#known.delete(agent);
        throw error;
      });
    if (this.#known.size >= CACHE_MAX) this.#known.clear();
    this.#known.set(agent, { group: readAgentRecord(found.value)?.group, readAt: performance.now() });
  }
}
