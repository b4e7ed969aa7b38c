// The memories of the agents that a node owns, served.
export { AGENT_SERVICE_NAME, Memories, type MemoriesOptions } from './memories.ts';
