// What an attempt returned, as the bytes that are stored. JSON drops or changes some values without an error; such a
// result is refused, so that no reader gets another value than the one that was returned.
import { encode, messageOf } from '../protocol/index.ts';

/** `none`: nothing was returned. `invalid`: JSON cannot carry the value. */
export type EncodedResult =
  | { kind: 'none' }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'invalid'; error: string };

/** Encodes a result as JSON. What cannot be carried is a value, not an exception. */
export function encodeResult(result: unknown): EncodedResult {
  if (result === undefined) return { kind: 'none' };
  if (typeof result === 'string') return { kind: 'bytes', bytes: encode(result) };
  try {
    return { kind: 'bytes', bytes: Buffer.from(JSON.stringify(result, refuseLoss)) };
  } catch (error) {
    return { kind: 'invalid', error: `the result cannot be written as JSON: ${messageOf(error)}` };
  }
}

function refuseLoss(key: string, value: unknown): unknown {
  const isLost =
    typeof value === 'function' ||
    typeof value === 'symbol' ||
    typeof value === 'bigint' ||
    (typeof value === 'number' && !Number.isFinite(value)) ||
    value instanceof Map ||
    value instanceof Set;
  if (!isLost) return value;
  const what =
    typeof value === 'number'
      ? String(value)
      : `a ${typeof value === 'object' ? 'Map or Set' : typeof value}`;
  throw new TypeError(`${key === '' ? 'it' : `field "${key}"`} is ${what}`);
}
