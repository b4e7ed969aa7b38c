// Results that are too large for the journal, in an object store bucket.
import type { JetStreamClient } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { nanos } from '@nats-io/transport-node';
import { JOURNAL_AGE_DAYS, RESULTS_BUCKET, type ResultReference } from '../protocol/index.ts';
import { toOrchError } from './errors.ts';

/** Stores bytes; creates the bucket when it is the first. Objects go with the journal entries that refer to them. */
export async function putObject(
  js: JetStreamClient,
  name: string,
  bytes: Uint8Array,
  replicas: number,
): Promise<ResultReference> {
  try {
    const store = await new Objm(js).create(RESULTS_BUCKET, {
      description: 'orch: results over 64 KiB',
      ttl: nanos(JOURNAL_AGE_DAYS * 86_400_000),
      replicas,
    });
    const info = await store.putBlob({ name }, bytes);
    return { bucket: RESULTS_BUCKET, name, bytes: info.size, digest: info.digest };
  } catch (error) {
    throw toOrchError(error, `cannot store result ${name}`);
  }
}

/** The bytes behind a reference; undefined when they are gone. */
export async function getObject(
  js: JetStreamClient,
  reference: ResultReference,
): Promise<Uint8Array | undefined> {
  try {
    const store = await new Objm(js).open(reference.bucket);
    return (await store.getBlob(reference.name)) ?? undefined;
  } catch (error) {
    throw toOrchError(error, `cannot read result ${reference.name}`);
  }
}
