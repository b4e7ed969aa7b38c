// Times on the wire: ISO 8601 with an offset or `Z`.
import * as z from 'zod';

/** The schema of a time. */
export const timestamp = () => z.iso.datetime({ offset: true });
