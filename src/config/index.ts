// Configuration: flag, then environment, then file, then default.
export * from './actor.ts';
export * from './env.ts';
export * from './file.ts';
export * from './paths.ts';
export * from './server.ts';
