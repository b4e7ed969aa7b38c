// W3C trace context: one trace from the publisher to the task, its attempts and its events.
import { randomBytes } from 'node:crypto';

/** A span within the trace of `parent`, or the first of a new trace. */
export function childSpan(parent: string | undefined): string {
  const [, traceId, , flags] = parent?.split('-') ?? [];
  return `00-${traceId ?? randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-${flags ?? '01'}`;
}
