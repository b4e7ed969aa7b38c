// A KV bucket whose keys expire each at a time of its own. Every write is a compare-and-set against the revision that
// its writer has seen, also the first and the last one, so that two writers of a key always learn of each other.
// `nats kv` reads and watches these buckets like any other.
import { bucketFilter, bucketSubject, MARKER_MS, parseBucketKey } from '../protocol/index.ts';
import type { Link } from './link.ts';
import type { Reader, Stored } from './reader.ts';
import type { Writer } from './writer.ts';

/** A key as it stands. */
export interface BucketEntry {
  key: string;
  /** Undefined where the key was never there, was deleted, or has expired. */
  value: Uint8Array | undefined;
  /** Stream sequence of the last word about the key, be it a value or its end; 0 = none. What the next write expects. */
  revision: number;
  /** When the server stored it. */
  storedAt: Date;
}

export type Put = { kind: 'stored'; revision: number } | { kind: 'conflict' };

/** The KV buckets of orch. */
export class Buckets {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** The bucket behind a stream, such as `KV_orch-nodes`. Asks the server nothing. */
  open(stream: string): Bucket {
    return new Bucket(stream, this.#link.reader, this.#link.writer);
  }
}

export class Bucket {
  readonly #stream: string;
  readonly #reader: Reader;
  readonly #writer: Writer;

  constructor(stream: string, reader: Reader, writer: Writer) {
    this.#stream = stream;
    this.#reader = reader;
    this.#writer = writer;
  }

  /** A key as the stream's leader has it, or a replica that may be behind. */
  async get(key: string, from: 'replica' | 'leader' = 'leader'): Promise<BucketEntry> {
    const stored = await this.#reader.last(this.#stream, bucketSubject(this.#stream, key), from);
    return stored ? readBucketEntry(stored) : { key, value: undefined, revision: 0, storedAt: new Date(0) };
  }

  /** All keys that are there, in no order. */
  async list(): Promise<BucketEntry[]> {
    // A key that is written between two batches comes in both; its last word counts.
    const entries = new Map<string, BucketEntry>();
    for await (const stored of this.#reader.range(this.#stream, { filter: bucketFilter(this.#stream) })) {
      const entry = readBucketEntry(stored);
      if (entry.value === undefined) entries.delete(entry.key);
      else entries.set(entry.key, entry);
    }
    return [...entries.values()];
  }

  /** Sets a key for `ttlMs` (whole seconds from 1 s on, rounded up), if nobody wrote it since `revision`. */
  put(
    key: string,
    value: Uint8Array,
    options: { revision: number; ttlMs: number; timeoutMs?: number },
  ): Promise<Put> {
    return this.#write(key, value, options, {});
  }

  /** Ends a key, if nobody wrote it since `revision`. */
  delete(key: string, options: { revision: number; timeoutMs?: number }): Promise<Put> {
    const gone = { 'KV-Operation': 'DEL' };
    return this.#write(key, new Uint8Array(), { ...options, ttlMs: MARKER_MS }, gone);
  }

  async #write(
    key: string,
    value: Uint8Array,
    { revision, ttlMs, timeoutMs }: { revision: number; ttlMs: number; timeoutMs?: number },
    headers: Record<string, string>,
  ): Promise<Put> {
    const subject = bucketSubject(this.#stream, key);
    const written = await this.#writer.write(subject, value, {
      expect: { lastSequence: revision, filter: subject },
      // The server counts in whole seconds.
      headers: { ...headers, 'Nats-TTL': `${Math.max(1, Math.ceil(ttlMs / 1_000))}s` },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    return written.kind === 'stored' ? { kind: 'stored', revision: written.seq } : { kind: 'conflict' };
  }
}

/** Reads a message of a bucket's stream; an end that was deleted or expired has no value. */
export function readBucketEntry({ subject, seq, time, headers, bytes }: Stored): BucketEntry {
  const isGone = headers?.has('Nats-Marker-Reason') || headers?.has('KV-Operation');
  return {
    key: parseBucketKey(subject),
    value: isGone ? undefined : bytes,
    revision: seq,
    storedAt: time,
  };
}
