// The cluster as one: what tasks, nodes and streams are together. Reads only; nothing here acts.

export { type AgentAddress, type AgentView, listAgents, resolveAgent } from './agents.ts';
export { canAnyServe, canServe } from './eligibility.ts';
export { examine } from './examine.ts';
export type { LaneStatus } from './facts.ts';
export { type Finding, isDegradation, SEVERITIES, type Severity } from './finding.ts';
export { type GatherOptions, recallFromAll } from './recall.ts';
export { type RepositoryState, readRepositoryState } from './repository.ts';
export { type ClusterStatus, readStatus } from './status.ts';
