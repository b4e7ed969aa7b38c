// The memories of the agents that a node owns, served.
export { Memories, type MemoriesOptions } from './memories.ts';
