// Bytes to values and back. JSON unless a message says `Content-Type: application/msgpack`; a reply goes out in the
// encoding that its request came in.
// Without the part in C++: looking for it takes longer than a command's own work.
import { Packr } from 'msgpackr/pack';
import type { z } from 'zod';
import { messageOf, OrchError } from './errors.ts';

export const CONTENT_TYPE = 'Content-Type';
export const MSGPACK = 'application/msgpack';

export type Encoding = 'json' | 'msgpack';

// Records are an extension of msgpackr that other MessagePack libraries cannot read; a BigInt is nothing that JSON,
// which the journal is written in, can carry.
const packr = new Packr({ useRecords: false, int64AsType: 'number' });
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The encoding that a Content-Type header asks for; absent and unknown ones mean JSON. */
export function encodingOf(contentType: string | undefined): Encoding {
  return contentType?.split(';')[0]?.trim().toLowerCase() === MSGPACK ? 'msgpack' : 'json';
}

export function encode(value: unknown, encoding: Encoding = 'json'): Uint8Array {
  return encoding === 'msgpack' ? packr.pack(value) : Buffer.from(JSON.stringify(value));
}

/** Reads bytes. Throws `usage` with the parser's reason when they are not in that encoding. */
export function decode(bytes: Uint8Array, encoding: Encoding = 'json'): unknown {
  try {
    return encoding === 'msgpack' ? packr.unpack(bytes) : JSON.parse(utf8.decode(bytes));
  } catch (error) {
    throw new OrchError(
      'usage',
      `not valid ${encoding === 'json' ? 'JSON' : 'MessagePack'}: ${messageOf(error)}`,
    );
  }
}

/** Reads JSON that anybody may have written; undefined for what is none. */
export function tryDecode(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

/** Checks a value against a schema. Throws `usage` with the first field that is wrong, what was given and what is allowed. */
export function parseAs<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join('.') ?? '';
  const given = path === '' ? value : issue?.path.reduce<unknown>(at, value);
  const shown = given === undefined ? 'nothing' : (JSON.stringify(given)?.slice(0, 80) ?? String(given));
  throw new OrchError(
    'usage',
    `${what}${path === '' ? '' : `: field ${path}`}: ${issue?.message ?? 'invalid'} (given: ${shown})`,
  );
}

function at(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<PropertyKey, unknown>)[key]
    : undefined;
}
