// The door of the bus: the only room that imports @nats-io.

export { type Asked, NO_ANSWER } from './ask.ts';
export { Bucket, type BucketEntry, readBucketEntry } from './bucket.ts';
export { Bus, openBus } from './bus.ts';
export { DEFAULT_SERVER, type ServerOptions } from './connect.ts';
export { Delivery } from './delivery.ts';
export type { BusOptions } from './link.ts';
export type { LaneInfo, ProvisionOptions, StreamReport } from './provision.ts';
export type { LanePull, PullEnd, PullHandler } from './pull.ts';
export type { Stored } from './reader.ts';
export type { ServerFacts } from './server.ts';
export type { Answer, Request, Service, ServiceOptions } from './service.ts';
export type { WriteOptions, WriteOutcome } from './writer.ts';
