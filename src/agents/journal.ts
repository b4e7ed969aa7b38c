// The journal of agents: who owns which, and who wanted to. It is news for people; the bucket decides who owns an agent.
import type { Bus } from '../bus/index.ts';
import { JournalOf, newNonce } from '../journal/index.ts';
import {
  AgentEntry,
  type AgentEventType,
  type AgentRecord,
  agentEntrySubject,
  agentHistoryFilter,
  JOURNAL,
} from '../protocol/index.ts';

const agentJournal = new JournalOf<AgentEntry>({
  stream: JOURNAL,
  schema: AgentEntry,
  subject: agentEntrySubject,
  history: agentHistoryFilter,
});

/** Writes what happened to an agent, once, whatever was written before it. Throws `unavailable`. */
export async function appendAgentEntry(
  bus: Bus,
  type: AgentEventType,
  agent: AgentRecord,
  actor: string,
): Promise<void> {
  const entry: AgentEntry = { type, at: new Date().toISOString(), actor, nonce: newNonce(), agent };
  await agentJournal.add(bus, agent.id, entry);
}
