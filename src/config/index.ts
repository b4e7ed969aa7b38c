// Configuration: flag, then environment, then file, then default.
export * from './env.ts';
export * from './paths.ts';
export * from './server.ts';
