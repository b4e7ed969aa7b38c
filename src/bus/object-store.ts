// The client's object store, loaded for the first large result. The import is static: bundled, the package is CommonJS,
// of which a dynamic import gives only the default export.
import type { JetStreamClient } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';

export const openObjectStore = (jetstream: JetStreamClient): Objm => new Objm(jetstream);
