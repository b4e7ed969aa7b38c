// An agent's memory from anywhere: each question goes to the one who owns it, and is answered by nobody else.
import type { Bus } from '../bus/index.ts';
import {
  type ExpandInput,
  ExpandReply,
  type ForgetInput,
  ForgetReply,
  MemoryStats,
  type MemoryVerb,
  memorySubject,
  OrchError,
  parseAs,
  parseId,
  type ReadInput,
  ReadReply,
  type RecallInput,
  RecallReply,
  type RememberInput,
  RememberReply,
} from '../protocol/index.ts';

const REPLIES = {
  recall: RecallReply,
  search: RecallReply,
  expand: ExpandReply,
  remember: RememberReply,
  forget: ForgetReply,
  stats: MemoryStats,
  read: ReadReply,
} as const;

interface Questions {
  recall: RecallInput;
  search: RecallInput;
  expand: ExpandInput;
  remember: RememberInput;
  forget: ForgetInput;
  stats: { as: string };
  read: ReadInput;
}

export type MemoryQuestion<V extends MemoryVerb> = Questions[V];
export type MemoryAnswer<V extends MemoryVerb> = ReturnType<(typeof REPLIES)[V]['parse']>;

/**
 * Asks an agent's memory. Throws `not_found` at once when nobody owns the agent, `unavailable` when its owner does not
 * answer in time, and whatever the owner refuses it with (`usage`, `denied`, `not_found`, `conflict` ...).
 */
export async function askMemory<V extends MemoryVerb>(
  bus: Bus,
  agent: string,
  verb: V,
  question: MemoryQuestion<V>,
  timeoutMs = bus.timeoutMs,
): Promise<MemoryAnswer<V>> {
  const asked = await bus.requests.ask(memorySubject(parseId(agent, 'agent'), verb), question, timeoutMs);
  switch (asked.kind) {
    case 'reply':
      return parseAs(REPLIES[verb], asked.value, `the answer of agent ${agent}`) as MemoryAnswer<V>;
    case 'refused':
      throw new OrchError(
        asked.code,
        asked.message,
        asked.advice === undefined ? {} : { advice: asked.advice },
      );
    case 'no-responder':
      throw new OrchError('not_found', `no node owns agent ${agent}`, {
        advice: '`orch agents` shows who owns what',
      });
    case 'timeout':
      throw new OrchError('unavailable', `the owner of agent ${agent} did not answer within ${timeoutMs} ms`);
  }
}

type Own<T> = Omit<T, 'as'>;

/** An agent's memory, as that agent or another one uses it. */
export interface MemoryClient {
  /** What is most relevant to a query. */
  recall(question: Own<RecallInput>): Promise<RecallReply>;
  /** What contains all words of a query. */
  search(question: Own<RecallInput>): Promise<RecallReply>;
  /** What a record or an entity is linked to. */
  expand(question: Own<ExpandInput>): Promise<ExpandReply>;
  /** Adds or changes a record; only the agent itself may. */
  remember(record: Own<RememberInput>): Promise<RememberReply>;
  /** Removes records; only the agent itself may. */
  forget(which: Own<ForgetInput>): Promise<ForgetReply>;
  stats(): Promise<MemoryStats>;
}

/** The memory of `agent` (default: one's own) as `as` asks it. Errors as `askMemory`. */
export function memoryClient(bus: Bus, { as, agent = as }: { as: string; agent?: string }): MemoryClient {
  const ask =
    <V extends MemoryVerb>(verb: V) =>
    (question: Own<MemoryQuestion<V>>): Promise<MemoryAnswer<V>> =>
      askMemory(bus, agent, verb, { ...question, as } as MemoryQuestion<V>);
  return {
    recall: ask('recall'),
    search: ask('search'),
    expand: ask('expand'),
    remember: ask('remember'),
    forget: ask('forget'),
    stats: () => askMemory(bus, agent, 'stats', { as }),
  };
}
