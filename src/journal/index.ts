// Append-only histories of any kind: writing by fence and nonce, reading, and following without a gap.
export type { FollowOptions } from './follow.ts';
export { type Appended, type AppendOptions, JournalOf } from './journal.ts';
export type { EntryFields, Kind, Line } from './kind.ts';
export { newNonce, randomHex } from './random.ts';
