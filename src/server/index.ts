// The door of the server: finding a nats-server, and running one. It talks to none.
export { type FindServerOptions, findServer, type ServerBinary } from './binary.ts';
export {
  freePort,
  freePorts,
  isAlive,
  type ServerProcess,
  type ServerProcessOptions,
  startServer,
} from './process.ts';
