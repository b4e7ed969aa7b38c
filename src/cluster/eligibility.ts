// Which nodes can run the tasks of a lane.
import type { Bus } from '../bus/index.ts';
import { type NodeView, readNodes } from '../nodes/index.ts';
import { rankFor } from '../tasks/index.ts';

/** Whether any live node can serve a lane. Throws `unavailable`. */
export async function canAnyServe(bus: Bus, lane: string): Promise<boolean> {
  return (await readNodes(bus)).some(node => canServe(node, lane));
}

/** Whether a node takes tasks and has every capability that a lane requires. */
export function canServe({ presence, record }: NodeView, lane: string): boolean {
  return presence === 'live' && record?.state === 'ready' && rankFor(lane, record.capabilities) !== undefined;
}
