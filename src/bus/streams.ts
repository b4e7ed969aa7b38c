// Streams: writing, reading, following, removing, and creating what is missing.
import { PROTOCOL_METADATA, type ProtocolRange, parseProtocol, TASKS } from '../protocol/index.ts';
import { toOrchError } from './errors.ts';
import type { Link } from './link.ts';
import { inspectStreams, provision, type StreamReport } from './provision.ts';
import type { RangeOptions, Stored } from './reader.ts';
import type { TailOptions } from './tail.ts';
import type { WriteOptions, WriteOutcome } from './writer.ts';

export class Streams {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Stores bytes on a subject. Throws `unavailable` when no acknowledgement came in time, `too_large` over max_payload. */
  write(subject: string, bytes: Uint8Array, options?: WriteOptions): Promise<WriteOutcome> {
    return this.#link.writer.write(subject, bytes, options);
  }

  /** The last message on a subject or filter, from any replica (default; may be stale) or from the leader. */
  last(stream: string, filter: string, from?: 'replica' | 'leader'): Promise<Stored | undefined> {
    return this.#link.reader.last(stream, filter, from);
  }

  /** The oldest message on a subject or filter. */
  first(stream: string, filter: string): Promise<Stored | undefined> {
    return this.#link.reader.first(stream, filter);
  }

  /** The message with a stream sequence, if it is still there. */
  bySequence(stream: string, seq: number, from?: 'replica' | 'leader'): Promise<Stored | undefined> {
    return this.#link.reader.bySequence(stream, seq, from);
  }

  /** All stored messages on a filter, oldest first. */
  range(stream: string, options: RangeOptions): AsyncGenerator<Stored> {
    return this.#link.reader.range(stream, options);
  }

  /** Stored messages, then those that arrive, until the signal aborts. */
  async *tail(stream: string, options: TailOptions): AsyncGenerator<Stored> {
    const { tail } = await import('./tail.ts');
    yield* tail(this.#link.nc, stream, options);
  }

  /** Removes the message with this sequence; true when it was there. */
  async deleteMessage(stream: string, seq: number): Promise<boolean> {
    const manager = await this.#link.manager();
    return manager.streams.deleteMessage(stream, seq, false).catch(() => false);
  }

  /** Removes all messages on a filter; returns how many. */
  async purge(stream: string, filter: string): Promise<number> {
    try {
      return (await (await this.#link.manager()).streams.purge(stream, { filter })).purged;
    } catch (error) {
      throw toOrchError(error, `cannot remove ${filter}`);
    }
  }

  /** The subjects on a filter that a stream holds messages of, at most 100,000. */
  async subjects(stream: string, filter: string): Promise<string[]> {
    try {
      const info = await (await this.#link.manager()).streams.info(stream, { subjects_filter: filter });
      return Object.keys(info.state.subjects ?? {});
    } catch (error) {
      throw toOrchError(error, `cannot list the subjects of ${stream}`);
    }
  }

  /** How many messages a stream holds. */
  async messageCount(stream: string): Promise<number> {
    try {
      return (await (await this.#link.manager()).streams.info(stream)).state.messages;
    } catch (error) {
      throw toOrchError(error, `cannot read stream ${stream}`);
    }
  }

  /** Creates the streams and buckets that are missing; those that exist stay as they are. */
  async provision(): Promise<void> {
    return provision(await this.#link.manager(), this.#link.options);
  }

  /** Compares each stream with what orch would create. */
  async inspect(): Promise<StreamReport[]> {
    return inspectStreams(await this.#link.manager());
  }

  /** The protocol that the cluster's streams are written in. */
  async protocol(): Promise<ProtocolRange> {
    try {
      const { config } = await (await this.#link.manager()).streams.info(TASKS);
      return parseProtocol(config.metadata?.[PROTOCOL_METADATA]) ?? { min: 1, max: 1 };
    } catch (error) {
      throw toOrchError(error, `cannot read stream ${TASKS}`);
    }
  }
}
