// Agents: named identities, each owned by one node, or registered by hand.
export { Groups } from './groups.ts';
export { AgentKeeper, type AgentKeeperOptions } from './keeper.ts';
export { readAgentRecord } from './record.ts';
export { type Registration, registerAgent, unregisterAgent } from './register.ts';
export { type AgentSpec, parseAgents } from './spec.ts';
