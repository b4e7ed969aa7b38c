// Fills a queue as fast as a side lets one publisher.
import type { Payload, Publisher } from '../sides/index.ts';

/** Tasks in one call, or on their way at once. */
export const FILL_BATCH = 1_000;

/** Publishes `count` tasks; returns when the last is acknowledged. Nothing for a count that is not positive. */
export async function fill(
  publisher: Publisher,
  count: number,
  next: () => Payload,
  { lane, onId }: { lane?: string; onId?: (input: Payload, id: string) => void } = {},
): Promise<void> {
  let left = Math.max(0, count);
  if (publisher.publishMany) {
    while (left > 0) {
      const inputs = Array.from({ length: Math.min(left, FILL_BATCH) }, next);
      left -= inputs.length;
      const ids = await publisher.publishMany(inputs, lane);
      for (const [index, input] of inputs.entries()) onId?.(input, ids[index] ?? '');
    }
    return;
  }
  const publishOnes = async () => {
    while (left > 0) {
      left--;
      const input = next();
      const id = await publisher.publish(input, lane);
      onId?.(input, id);
    }
  };
  await Promise.all(Array.from({ length: Math.min(left, FILL_BATCH) }, publishOnes));
}
