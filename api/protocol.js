// The entry `orch/protocol` in a file of its own: as an entry itself, src/protocol/index.ts would be one chunk that every
// command loads whole.
export * from '../src/protocol/index.ts';
