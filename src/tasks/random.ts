// Random names. One draw from the system serves many of them: asking for each few bytes was a seventh of a publisher's
// time.
import { randomFillSync } from 'node:crypto';

const pool = Buffer.alloc(4_096);
let taken = pool.length;

/** So many random bytes as hexadecimal digits, two a byte. */
export function randomHex(bytes: number): string {
  if (taken + bytes > pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  taken += bytes;
  return pool.toString('hex', taken - bytes, taken);
}
