// The wire as data: subjects, streams, schemas and encodings. Nothing here connects to a server. `subjects.md` describes
// the same in prose, and a test compares the two.
export * from './canonical.ts';
export * from './codec.ts';
export * from './duration.ts';
export * from './errors.ts';
export * from './jetstream.ts';
export * from './memory.ts';
export * from './names.ts';
export * from './node.ts';
export * from './server-url.ts';
export * from './streams.ts';
export * from './subjects.ts';
export * from './task.ts';
export * from './version.ts';
