// Which lanes a set of capabilities serves, who comes first there, and what lies in none.
import type { Bus, LaneInfo } from '../bus/index.ts';
import { parseLane, TASKS } from '../protocol/index.ts';

const RANK_MAX = 9;

/**
 * How many capabilities are to spare in a lane, at most 9: idle workers with fewer are served first, so that the rare
 * ones stay free. Undefined when one that the lane requires is not offered, or the text is not a lane.
 */
export function rankFor(lane: string, offered: readonly string[]): number | undefined {
  try {
    const required = parseLane(lane);
    const isServed = required.every(capability => offered.includes(capability));
    return isServed ? Math.min(RANK_MAX, offered.length - required.length) : undefined;
  } catch {
    return undefined;
  }
}

/** How many messages of the queue are in none of these lanes. They come and go while they are counted. */
export async function countOutsideLanes(bus: Bus, lanes: readonly LaneInfo[]): Promise<number> {
  const inside = lanes.reduce((sum, { waiting, inFlight }) => sum + waiting + inFlight, 0);
  return Math.max(0, (await bus.streams.messageCount(TASKS)) - inside);
}
