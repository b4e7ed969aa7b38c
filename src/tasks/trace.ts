// W3C trace context: one trace from the publisher to the task, its attempts and its events.
import { randomHex } from './random.ts';

/** A span within the trace of `parent`, or the first of a new trace. */
export function childSpan(parent: string | undefined): string {
  const [, traceId, , flags] = parent?.split('-') ?? [];
  return `00-${traceId ?? randomHex()}-${randomHex().slice(0, 16)}-${flags ?? '01'}`;
}
