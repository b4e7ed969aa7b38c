// What orch knows about nodes and agents: who is there, who owns whom, and who does what only one may do.
export { type AgentSpec, parseAgents } from './agent-spec.ts';
export {
  AgentKeeper,
  type AgentKeeperOptions,
  type Registration,
  readAgentRecord,
  registerAgent,
  unregisterAgent,
} from './agents.ts';
export { Groups } from './groups.ts';
export {
  appendNodeEntry,
  lastNodeEntry,
  type NodeLine,
  readNodeEntry,
  recentNodeEntries,
} from './journal.ts';
export { Lease, type LeaseOptions, readLease, type Tenure } from './lease.ts';
export { Presence, type PresenceOptions, readNodeReply } from './presence.ts';
export {
  type AgentView,
  askNode,
  listAgents,
  lookAtNode,
  lookAtNodes,
  type NodePresence,
  type NodeView,
  readNodes,
  unknown,
} from './roster.ts';
