// W3C trace context: one trace from the publisher to the task, its attempts and its events.
import { randomHex } from '../journal/index.ts';

/** A span within the trace of `parent`, or the first of a new trace. */
export function childSpan(parent: string | undefined): string {
  // `00-`, 32 digits of the trace, 16 of the span, two of flags.
  return parent === undefined
    ? `00-${randomHex(16)}-${randomHex(8)}-01`
    : `00-${parent.slice(3, 35)}-${randomHex(8)}-${parent.slice(53, 55)}`;
}
