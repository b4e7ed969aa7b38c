// Configuration: flag, then environment, then file, then default.
export * from './paths.ts';
