// Scatter-gather over all memories: a question goes to the live nodes, and their replies are ranked as if from one store.
// Promises:
//  1. It ends early when all nodes have replied, and at the deadline at the latest, with what arrived.
//  2. Each missing node is named, with the reason. A complete answer is marked as complete.
//  3. Ranks do not depend on which node a record lies on: see `memory/ranking.ts` for the three rounds and why.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../bus/index.ts';
import {
  addStatistics,
  askMemory,
  type Fused,
  fuse,
  idsByAgent,
  inOrder,
  slowestStages,
} from '../memory/index.ts';
import { readNodes, recentNodeEntries } from '../nodes/index.ts';
import {
  GATHER_MS_DEFAULT,
  GATHER_NODES_MAX,
  type GatheredReply,
  type MemoriesVerb,
  type MemoryItem,
  type Missing,
  type MissingNode,
  memoriesSubject,
  NodeCandidates,
  NodeStatistics,
  OrchError,
  parseAs,
  type RecallInput,
  RecallRequest,
} from '../protocol/index.ts';

/** A node that was lost longer ago than this is no longer expected to answer. */
const LOST_EXPECTED_MS = 3_600_000;
/** The share of the time that the first round may take, and the first two together. */
const SHARES = { statistics: 0.6, candidates: 0.9 };

/** How long to wait for the memories, and which of them to ask. */
export interface GatherOptions {
  /** When to end with what has come, in milliseconds; default 500. */
  deadlineMs?: number;
  /** Only agents of this group; default: all agents. */
  group?: string;
}

/** Queries all memories that the asker may read. Throws `usage`, or `unavailable` without a server. */
export async function recallFromAll(
  bus: Bus,
  kind: 'recall' | 'search',
  input: RecallInput,
  { deadlineMs = GATHER_MS_DEFAULT, ...only }: GatherOptions = {},
): Promise<GatheredReply> {
  const request = parseAs(RecallRequest, input, kind);
  const gathering = new Gathering(bus, deadlineMs);
  await gathering.expect();
  const { as, query, limit } = request;
  const statistics = addStatistics(
    (await gathering.ask('statistics', { as, kind, query, ...only }, NodeStatistics, SHARES.statistics)).map(
      reply => reply.statistics,
    ),
  );
  const replies = await gathering.ask(
    'candidates',
    { ...request, kind, statistics, ...only },
    NodeCandidates,
    SHARES.candidates,
  );
  const readFrom = gathering.elapsedMs;
  const { best, method } = fuse(
    replies.flatMap(reply => reply.candidates),
    { limit, now: Date.now() },
  );
  const items = await gathering.read(as, best);
  return {
    items,
    omitted: best.length - items.length,
    method,
    partial: gathering.missing.length > 0,
    nodes: replies.length,
    missing: gathering.missing,
    // Nodes work in parallel: the stages of the slowest one. The network is in the total.
    timings: {
      ...slowestStages(replies.map(({ timings }) => timings)),
      readMs: gathering.elapsedMs - readFrom,
      totalMs: gathering.elapsedMs,
    },
  };
}

class Gathering {
  readonly #bus: Bus;
  readonly #deadlineMs: number;
  readonly #began = performance.now();
  /** The nodes that have not failed yet. */
  #nodes = new Set<string>();
  readonly missing: MissingNode[] = [];

  constructor(bus: Bus, deadlineMs: number) {
    this.#bus = bus;
    this.#deadlineMs = deadlineMs;
  }

  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  /** Finds the nodes to expect: those whose agents have memories. Throws `unavailable` when that takes all of the time. */
  async expect(): Promise<void> {
    const since = new Date(Date.now() - LOST_EXPECTED_MS);
    const known = Promise.all([readNodes(this.#bus), recentNodeEntries(this.#bus, since)]);
    const [views, entries] = await withinMs(this.#deadlineMs, known);
    for (const { id, presence, record, why } of views) {
      const detail = why === undefined ? {} : { detail: why };
      if (presence === 'incompatible') this.missing.push({ node: id, why: 'incompatible', ...detail });
      else if (presence === 'corrupt') this.missing.push({ node: id, why: 'failed', ...detail });
      else if (record?.features.includes('memory') && record.agents.length > 0) this.#nodes.add(id);
    }
    // An agent that was taken over by another node is not missing.
    const owned = new Set(views.flatMap(({ record }) => record?.agents.map(({ id }) => id) ?? []));
    for (const [id, { type, node }] of entries) {
      const isGone = type === 'lost' && !views.some(view => view.id === id);
      const hadMemories = node.features.includes('memory') && node.agents.some(agent => !owned.has(agent.id));
      if (isGone && hadMemories) this.missing.push({ node: id, why: 'lost' });
    }
    for (const id of [...this.#nodes].slice(GATHER_NODES_MAX))
      this.#exclude(id, { why: 'late', detail: `only ${GATHER_NODES_MAX} nodes are asked` });
  }

  /** Asks the remaining nodes; one that does not reply within a share of the time is not asked again. */
  async ask<T extends { node: string; unread: { agent: string; why: string }[] }>(
    verb: MemoriesVerb,
    body: unknown,
    schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
    share: number,
  ): Promise<T[]> {
    const waiting = new Set(this.#nodes);
    const replies: T[] = [];
    if (waiting.size === 0) return replies;
    await this.#bus.requests.gather(memoriesSubject(verb), body, {
      deadlineMs: Math.max(1, this.#deadlineMs * share - this.elapsedMs),
      onReply: reply => {
        if (reply.kind === 'refused') return false;
        const parsed = schema.safeParse(reply.value);
        if (!parsed.success || !waiting.delete(parsed.data.node)) return false;
        replies.push(parsed.data);
        for (const { agent, why } of parsed.data.unread) this.#noteFailure(parsed.data.node, agent, why);
        return waiting.size === 0;
      },
    });
    for (const node of waiting) this.#exclude(node, { why: 'late' });
    return replies;
  }

  /** Reads the contents of the best candidates from their owners, best first. */
  async read(as: string, best: readonly Fused[]): Promise<MemoryItem[]> {
    const leftMs = Math.max(1, this.#deadlineMs - this.elapsedMs);
    const read = await Promise.all(
      [...idsByAgent(best)].map(async ([agent, ids]) => {
        try {
          return (await askMemory(this.#bus, agent, 'read', { as, ids }, leftMs)).items;
        } catch (error) {
          const node = best.find(({ candidate }) => candidate.agent === agent)?.candidate.node ?? agent;
          this.#exclude(node, { why: 'late', detail: `its contents: ${(error as Error).message}` });
          return [];
        }
      }),
    );
    return inOrder(best, read.flat());
  }

  // The node is still asked in the next round: its other agents answer.
  #noteFailure(node: string, agent: string, why: string): void {
    if (!this.missing.some(known => known.node === node))
      this.missing.push({ node, why: 'failed', detail: `agent ${agent}: ${why}` });
  }

  #exclude(node: string, missing: { why: Missing; detail?: string }): void {
    this.#nodes.delete(node);
    if (!this.missing.some(known => known.node === node)) this.missing.push({ node, ...missing });
  }
}

async function withinMs<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = sleep(ms, undefined, { signal: late.signal }).then(() => {
    throw new OrchError('unavailable', `could not list the nodes within ${ms} ms`);
  });
  // The later of the two has no handler any more.
  timeout.catch(() => {});
  work.catch(() => {});
  return Promise.race([work, timeout]).finally(() => late.abort());
}
