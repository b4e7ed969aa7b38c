// Agents that have no daemon: registered by hand, and kept alive by calling again.
import type { Bus } from '../bus/index.ts';
import {
  AGENT_TTL_MS_DEFAULT,
  AGENTS,
  AgentRecord,
  type AgentStatus,
  encode,
  OrchError,
} from '../protocol/index.ts';
import { appendAgentEntry } from './journal.ts';
import { readAgentRecord } from './record.ts';
import type { AgentSpec } from './spec.ts';

export interface Registration extends Partial<AgentSpec> {
  id: string;
  /** Who keeps it alive, as a word that stays the same from call to call. */
  owner: string;
  host: string;
  status?: AgentStatus;
  task?: string;
  description?: string;
  /** Default 90 s. */
  ttlMs?: number;
}

/** Registers an agent that has no daemon, or keeps it alive. Throws `conflict` when it has another keeper. */
export async function registerAgent(bus: Bus, registration: Registration): Promise<AgentRecord> {
  const { owner, ttlMs = AGENT_TTL_MS_DEFAULT, ...given } = registration;
  const bucket = bus.buckets.open(AGENTS);
  const found = await bucket.get(given.id);
  const known = readAgentRecord(found.value);
  const incarnation = keeperOf(owner, given.host);
  if (known && known.incarnation !== incarnation) throw ownedElsewhere(known);
  const since = known?.since ?? new Date().toISOString();
  const record = AgentRecord.parse({ ...known, ...given, incarnation, since, ttlMs });
  // An idle agent is on nothing, and one that is of no group any more is in none.
  if (given.status === 'idle' && given.task === undefined) delete record.task;
  if (record.visibility !== 'group') delete record.group;
  const put = await bucket.put(given.id, encode(record), { revision: found.revision, ttlMs });
  if (put.kind === 'conflict')
    throw new OrchError('conflict', `agent ${given.id} was taken by another owner just now`);
  if (!known) await appendAgentEntry(bus, 'owned', record, owner);
  return record;
}

/** Ends a registration. Throws `not_found`, or `conflict` when it has another keeper. */
export async function unregisterAgent(
  bus: Bus,
  { agent, owner, host }: { agent: string; owner: string; host: string },
): Promise<AgentRecord> {
  const bucket = bus.buckets.open(AGENTS);
  const found = await bucket.get(agent);
  const known = readAgentRecord(found.value);
  if (!known) throw new OrchError('not_found', `no agent ${agent}`);
  if (known.incarnation !== keeperOf(owner, host)) throw ownedElsewhere(known);
  const deleted = await bucket.delete(agent, { revision: found.revision });
  if (deleted.kind === 'conflict')
    throw new OrchError('conflict', `agent ${agent} was changed just now`, { advice: 'try again' });
  await appendAgentEntry(bus, 'released', known, owner);
  return known;
}

// The same user name on two machines is two keepers.
const keeperOf = (owner: string, host: string): string => `${owner}@${host}`;

const ownedElsewhere = ({ id, node, incarnation, host }: AgentRecord) =>
  new OrchError('conflict', `agent ${id} belongs to ${node ?? incarnation} on host ${host}`, {
    advice: '`orch agents` shows who owns what',
  });
