// The cluster as one: what tasks, nodes and streams are together, for whoever looks.

export { type AgentView, listAgents } from './agents.ts';
export { canAnyServe, canServe } from './eligibility.ts';
export { examine, type Finding } from './examine.ts';
export { type GatherOptions, recallFromAll } from './recall.ts';
export { type RepositoryState, readRepositoryState } from './repository.ts';
export { type ClusterStatus, type Degraded, type LaneStatus, readStatus } from './status.ts';
