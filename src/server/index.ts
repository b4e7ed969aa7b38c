// The door of the server: finding a nats-server, and running one. It opens no connection to NATS.
export { type FindServerOptions, findServer, type ServerBinary } from './binary.ts';
export {
  freePort,
  freePorts,
  type ServerProcess,
  type ServerProcessOptions,
  startServer,
} from './process.ts';
