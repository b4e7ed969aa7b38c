// Reading a stream in order: what it holds now, or that and then what arrives.
// Promises:
//  1. The stored part is complete up to the leader's last message at the time of the call, also where the replica that
//     answers is behind. A replica that stays behind for a second is taken to be ill, and what it has is the result.
//  2. Between the stored part and what arrives there is no gap and no repetition, also across a restart of the server.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, Stored } from '../bus/index.ts';

/** A replica is milliseconds behind at most. */
const LAG_TRIES_MAX = 20;
const LAG_PAUSE_MS = 50;
const RETRY_MS = 500;

export interface FollowOptions {
  filter: string;
  /** Oldest time to read; default: all that is stored. */
  since?: Date;
  signal: AbortSignal;
  /** Called once, when the caller has taken all that was stored and asks for more. */
  onCaughtUp?(): void;
  /** Called when the stored part cannot be read; reading goes on where it stopped, after a pause. */
  onError?(error: unknown): void;
}

type Start = { from?: number; since?: Date };

/** Yields what a stream holds on a filter, oldest first. Throws `unavailable`. */
export async function* readStored(
  bus: Bus,
  stream: string,
  { filter, signal, ...start }: Start & { filter: string; signal?: AbortSignal },
): AsyncGenerator<Stored> {
  const last = await bus.streams.last(stream, filter, 'leader');
  if (!last || isBefore(last, start)) return;
  let next: Start = start;
  for (let tries = 0; ; tries++) {
    for await (const stored of bus.streams.range(stream, { filter, ...next, ...(signal && { signal }) })) {
      next = { from: stored.seq + 1 };
      yield stored;
    }
    // Promise 1.
    if ((next.from ?? 0) > last.seq || tries === LAG_TRIES_MAX || signal?.aborted) return;
    await sleep(LAG_PAUSE_MS);
  }
}

/** Yields what a stream holds on a filter, then what arrives, until the signal aborts. A lost server is waited for. */
export async function* follow(
  bus: Bus,
  stream: string,
  { filter, since, signal, onCaughtUp, onError }: FollowOptions,
): AsyncGenerator<Stored> {
  let next: Start = since ? { since } : {};
  for (let isRead = false; !isRead && !signal.aborted; ) {
    try {
      for await (const stored of readStored(bus, stream, { filter, signal, ...next })) {
        next = { from: stored.seq + 1 };
        yield stored;
      }
      isRead = true;
    } catch (error) {
      onError?.(error);
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
  if (signal.aborted) return;
  onCaughtUp?.();
  // Promise 2: what was stored since the last message that was read is delivered first.
  yield* bus.streams.tail(stream, { filter, start: tailStart(next), signal });
}

function tailStart({ from, since }: Start): { seq: number } | { since: Date } | 'all' {
  if (from !== undefined) return { seq: from };
  return since ? { since } : 'all';
}

const isBefore = (last: Stored, { from = 0, since }: Start): boolean =>
  last.seq < from || (since !== undefined && last.time < since);
