// Whether anybody can run the tasks of a lane now: a worker that waits there, or a live node that is capable of it.
import type { Bus } from '../bus/index.ts';
import { type NodeView, readNodes } from '../nodes/index.ts';
import type { Priority } from '../protocol/index.ts';
import { rankFor } from '../tasks/index.ts';

/** Asks for the lane first: where workers are idle, that is all. Throws `unavailable`. */
export async function isLaneServed(bus: Bus, priority: Priority, lane: string): Promise<boolean> {
  if (((await bus.lane(priority, lane))?.idleWorkers ?? 0) > 0) return true;
  return (await readNodes(bus)).some(node => canServe(node, lane));
}

/** Whether a node takes tasks and has what a lane requires. */
export function canServe({ presence, record }: NodeView, lane: string): boolean {
  return presence === 'live' && record?.state === 'ready' && rankFor(lane, record.capabilities) !== undefined;
}
