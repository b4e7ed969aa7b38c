// Results that are too large for the journal, in an object store bucket. There are few of them, so the client's object
// store is loaded for the first.
import { nanos } from '@nats-io/transport-node';
import { JOURNAL_AGE_DAYS, RESULTS_BUCKET, type ResultReference } from '../protocol/index.ts';
import { toOrchError } from './errors.ts';
import type { Link } from './link.ts';

export class Objects {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /**
   * Stores bytes under a name and returns the reference to them; creates the bucket on first use. Objects expire with
   * the journal entries that refer to them. Throws `unavailable`.
   */
  async put(name: string, bytes: Uint8Array): Promise<ResultReference> {
    try {
      const manager = await this.#manager();
      const store = await manager.create(RESULTS_BUCKET, {
        description: 'orch: results over 64 KiB',
        ttl: nanos(JOURNAL_AGE_DAYS * 86_400_000),
        replicas: this.#link.options.replicas ?? 1,
      });
      const info = await store.putBlob({ name }, bytes);
      return { bucket: RESULTS_BUCKET, name, bytes: info.size, digest: info.digest };
    } catch (error) {
      throw toOrchError(error, `cannot store result ${name}`);
    }
  }

  /** The bytes behind a reference; undefined when they are gone. Throws `unavailable`. */
  async get(reference: ResultReference): Promise<Uint8Array | undefined> {
    try {
      const store = await (await this.#manager()).open(reference.bucket);
      return (await store.getBlob(reference.name)) ?? undefined;
    } catch (error) {
      throw toOrchError(error, `cannot read result ${reference.name}`);
    }
  }

  async #manager() {
    const [{ openObjectStore }, manager] = await Promise.all([
      import('./object-store.ts'),
      this.#link.manager(),
    ]);
    return openObjectStore(manager.jetstream());
  }
}
