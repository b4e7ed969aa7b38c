// What an agent remembers, on the node that owns it. A question to many stores is these steps on each, with the wire
// between them: `statistics`, then `candidates` with the sum, then `read` from the owners of the best.

export {
  candidatesFrom,
  idsByAgent,
  inOrder,
  recallFrom,
  slowestStages,
  statisticsOf,
  type Unread,
} from './across-stores.ts';
export {
  askMemory,
  type MemoryAnswer,
  type MemoryClient,
  type MemoryQuestion,
  memoryClient,
} from './client.ts';
export { driverName } from './database/index.ts';
export { type Embedder, type EmbedderOptions, openAiEmbedder, sharedEmbedder } from './embedder.ts';
export type { Imported } from './exchange.ts';
export { Memory, type MemoryOptions, openMemory } from './memory.ts';
export { addStatistics, type Fused, fuse, mergeCandidates, windowOf } from './ranking.ts';
export { fileOf } from './schema.ts';
export { type Asker, floorFor, type Policy } from './visibility.ts';
