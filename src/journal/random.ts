// Random names: nonces of entries, ids. One draw from the system serves many of them, and so does one spelling: asking
// for a few bytes each time was a seventh of a publisher's time.
import { randomBytes } from 'node:crypto';

/** Some twenty tasks' worth. A name may keep the whole of it alive. */
const POOL_BYTES = 1_024;
let digits = '';
let taken = 0;

/** Random bytes as hexadecimal digits, two a byte; at most 1,024 bytes. */
export function randomHex(bytes: number): string {
  if (taken + 2 * bytes > digits.length) {
    digits = randomBytes(POOL_BYTES).toString('hex');
    taken = 0;
  }
  taken += 2 * bytes;
  return digits.slice(taken - 2 * bytes, taken);
}

/** A nonce for a new entry. */
export const newNonce = (): string => randomHex(10);
