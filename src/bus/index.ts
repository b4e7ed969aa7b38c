// The door of the bus: the only room that imports @nats-io.

export type { Asked } from './ask.ts';
export { type FindServerOptions, findServer, SAFE_SERVER_VERSION, type ServerBinary } from './binary.ts';
export { Bucket, type BucketEntry, readBucketEntry } from './bucket.ts';
export * from './bus.ts';
export { compareVersions, DEFAULT_SERVER, type ServerOptions, withoutCredentials } from './connect.ts';
export { Delivery } from './delivery.ts';
export type { LaneInfo, ProvisionOptions, StreamReport } from './provision.ts';
export type { LanePull, PullEnd, PullHandler } from './pull.ts';
export type { Stored } from './reader.ts';
export { freePort, isAlive, type ServerProcess, type ServerProcessOptions, startServer } from './server.ts';
export { type Answer, NO_ANSWER, type Request, type Service, type ServiceOptions } from './service.ts';
export type { WriteOptions, WriteOutcome } from './writer.ts';
