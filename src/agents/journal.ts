// Entries about agents in the journal: who owns whom, and who wanted to. They are news; the bucket decides.
import { randomUUID } from 'node:crypto';
import type { Bus } from '../bus/index.ts';
import {
  type AgentEntry,
  type AgentEventType,
  type AgentRecord,
  agentEntrySubject,
  encode,
} from '../protocol/index.ts';

/** Writes what happened to an agent. It is news, not a decision: the bucket says who owns it. */
export async function appendAgentEntry(
  bus: Bus,
  type: AgentEventType,
  agent: AgentRecord,
  actor: string,
): Promise<void> {
  const entry: AgentEntry = { type, at: new Date().toISOString(), actor, nonce: randomUUID(), agent };
  await bus.streams.write(agentEntrySubject(agent.id, type, actor), encode(entry));
}
