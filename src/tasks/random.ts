// Random names. `randomUUID` draws from a pool that node keeps; `randomBytes` asks the system for each few bytes, which
// was a seventh of a publisher's time.
import { randomUUID } from 'node:crypto';

/** 32 hexadecimal digits, 122 bits of them random. */
export const randomHex = (): string => randomUUID().replaceAll('-', '');
