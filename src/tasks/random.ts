// Random names. One draw from the system serves many of them, and so does one spelling: asking for each few bytes was a
// seventh of a publisher's time.
import { randomBytes } from 'node:crypto';

/** Some twenty tasks' worth. A name may keep the whole of it alive. */
const POOL_BYTES = 1_024;
let digits = '';
let taken = 0;

/** So many random bytes as hexadecimal digits, two a byte; at most 1,024. */
export function randomHex(bytes: number): string {
  if (taken + 2 * bytes > digits.length) {
    digits = randomBytes(POOL_BYTES).toString('hex');
    taken = 0;
  }
  taken += 2 * bytes;
  return digits.slice(taken - 2 * bytes, taken);
}
