// Times on the wire: ISO 8601 with an offset or `Z`.
import * as z from 'zod';

const FORM = { offset: true };
const TIMESTAMP = z.regexes.datetime(FORM);

export const timestamp = () => z.iso.datetime(FORM);

/** What the schema accepts, without it. */
export const isTimestamp = (value: unknown): boolean => typeof value === 'string' && TIMESTAMP.test(value);
