// Waiting for a condition instead of for a time, and for a time where its passing is what a test is about.
import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until `check` gives something truthy; fails with what it last gave. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  let last: T;
  do {
    last = await check();
    if (last) return last as Exclude<T, false | null | undefined | 0 | ''>;
    await sleep(20);
  } while (Date.now() < deadline);
  throw new Error(`waited ${timeoutMs} ms for ${what}; last: ${JSON.stringify(last)}`);
}

/**
 * Lets time pass, where that is what is tested: a lease runs out, or does not; a limit is reached, or is not. For
 * anything that happens there is `until`.
 */
export const letTimePass = (ms: number): Promise<void> => sleep(ms);
