// The wire as data. Nothing here talks to a server; `subjects.md` says the same in prose, and a test compares them.
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
export * from './whole.ts';
