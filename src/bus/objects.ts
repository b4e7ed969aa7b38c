// Results that are too large for the journal, in an object store bucket. There are few of them, so the client's object
// store is loaded for the first.
import { setTimeout as sleep } from 'node:timers/promises';
import { nanos } from '@nats-io/transport-node';
import { JOURNAL_AGE_DAYS, OrchError, RESULTS_BUCKET, type ResultReference } from '../protocol/index.ts';
import { toOrchError } from './errors.ts';
import type { Link } from './link.ts';
import { ABORTED_MS } from './writer.ts';

export class Objects {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /**
   * Stores bytes under a name and returns the reference to them; creates the bucket on first use. Objects expire with
   * the journal entries that refer to them. Once the signal aborts it is waited for some seconds more, like any write.
   * Throws `unavailable`.
   */
  put(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<ResultReference> {
    return unlessAborted(this.#put(name, bytes), signal);
  }

  async #put(name: string, bytes: Uint8Array): Promise<ResultReference> {
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

// The client's object store knows no signal; what it still does some seconds after it is discarded.
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const over = new AbortController();
  const givenUp = new Promise<never>((_, reject) => {
    const stop = async () => {
      await sleep(ABORTED_MS, undefined, { signal: over.signal }).catch(() => {});
      reject(new OrchError('unavailable', 'given up while the result was being stored'));
    };
    if (signal?.aborted) void stop();
    else signal?.addEventListener('abort', () => void stop(), { once: true, signal: over.signal });
  });
  givenUp.catch(() => {});
  return Promise.race([work, givenUp]).finally(() => over.abort());
}
