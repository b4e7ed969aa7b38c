// An agent's memory as the library gives it.
import type { MemoryClient } from '../memory/index.ts';
import type {
  ExpandQuestion,
  ExpandReply,
  ForgetQuestion,
  ForgetReply,
  MemoryNote,
  MemoryStats,
  RecallQuestion,
  RecallReply,
  RememberReply,
} from './shapes.ts';

/** Whose memory, and who asks it. */
export interface MemoryAddress {
  /** The agent that asks. */
  as: string;
  /** The agent whose memory it is; default: the one that asks. */
  agent?: string;
}

/**
 * An agent's memory, asked over the network from the node that owns the agent. Every method throws OrchError:
 * `not_found` where no node owns the agent, `unavailable` where its node does not answer in time, `usage` for a field
 * that is not allowed, `denied` for a write by another agent.
 */
export interface AgentMemory {
  /** Returns what is most relevant to a query, best first: any of the words, and the meaning where there is an embedder. */
  recall(question: RecallQuestion): Promise<RecallReply>;
  /** Returns what contains all of the words, `"phrases"` and `prefixes*`, and none of the `-excluded` words. */
  search(question: RecallQuestion): Promise<RecallReply>;
  /** Returns what a record or an entity is linked to. */
  expand(question: ExpandQuestion): Promise<ExpandReply>;
  /** Adds a record, or changes the one with that `id` or `key`; it is on disk when this returns. */
  remember(note: MemoryNote): Promise<RememberReply>;
  /** Removes records, at most 1,000 a call. */
  forget(which: ForgetQuestion): Promise<ForgetReply>;
  /** Counts what the asking agent may read. */
  stats(): Promise<MemoryStats>;
}

/** A question to all memories, with the agent that asks. */
export interface RecallAllQuestion extends RecallQuestion {
  /** The agent that asks: what it may read depends on it. */
  as: string;
}

/** The client with the types of the library, whose questions are interfaces and so have to be copied. */
export const agentMemory = (client: MemoryClient): AgentMemory => ({
  recall: question => client.recall({ ...question }),
  search: question => client.search({ ...question }),
  expand: question => client.expand({ ...question }),
  remember: note => client.remember({ ...note }),
  forget: which => client.forget({ ...which }),
  stats: () => client.stats(),
});
