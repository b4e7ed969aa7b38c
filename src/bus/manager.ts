// The client's manager of streams and consumers. It is large, and what most commands do needs none of it: it is loaded
// when it is first asked for.
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

export const openManager = (nc: NatsConnection, timeoutMs: number): Promise<JetStreamManager> =>
  jetstreamManager(nc, { checkAPI: false, timeout: timeoutMs });
