// Marks waiting tasks whose lane no live node can serve, and unmarks them when one can. One entry each.
import type { LaneInfo } from '../../bus/index.ts';
import { canServe } from '../../cluster/index.ts';
import { readNodes } from '../../nodes/index.ts';
import { laneConsumer, laneFilter, messageOf, parseLastToken, TASKS } from '../../protocol/index.ts';
import { flagService, unclaimedRecord, unservableTasks } from '../../tasks/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

const ROUND_MAX = 500;

export const unservable: Chore = {
  name: 'unservable',
  everyMs: 5_000,
  begin(context) {
    /** Flagged tasks with their lanes; filled from the list once, then kept. */
    let flagged: Map<string, string> | undefined;
    let before = new Set<string>();
    return {
      async round() {
        flagged ??= await flaggedTasks(context);
        const lanes = await context.bus.lanes.list();
        const unserved = await unservedLanes(context, lanes);
        // A node that is restarted is away for a moment.
        const certain = lanes.filter(({ consumer }) => unserved.has(consumer) && before.has(consumer));
        before = unserved;
        return (await unflag(context, flagged, unserved)) + (await flag(context, flagged, certain));
      },
    };
  },
};

async function flaggedTasks({ bus, tenure }: ChoreContext): Promise<Map<string, string>> {
  const tasks = await unservableTasks(bus, tenure.signal);
  return new Map(tasks.map(({ id, priority, lane }) => [id, laneConsumer(priority, lane)]));
}

// A pull that is open is a worker, whether or not it has a presence.
async function unservedLanes({ bus }: ChoreContext, lanes: readonly LaneInfo[]): Promise<Set<string>> {
  const nodes = await readNodes(bus);
  return new Set(
    lanes
      .filter(({ idleWorkers, lane }) => idleWorkers === 0 && !nodes.some(node => canServe(node, lane)))
      .map(({ consumer }) => consumer),
  );
}

async function flag(
  { bus, actor, tenure, logger }: ChoreContext,
  flagged: Map<string, string>,
  lanes: readonly LaneInfo[],
): Promise<number> {
  let [done, seen] = [0, 0];
  for (const { priority, lane, consumer, waiting } of lanes) {
    if (waiting === 0) continue;
    for (const subject of await bus.streams.subjects(TASKS, laneFilter(priority, lane))) {
      const id = parseLastToken(subject);
      if (flagged.has(id)) continue;
      if (seen++ >= ROUND_MAX) return done;
      tenure.check();
      const fresh = await unclaimedRecord(bus, id).catch(() => undefined);
      if (!(await flagService(bus, id, false, () => fresh, actor))) continue;
      flagged.set(id, consumer);
      done++;
    }
    if (done > 0) logger.warn({ lane: consumer }, 'no live node can serve this lane');
  }
  return done;
}

async function unflag(
  { bus, actor, tenure, logger }: ChoreContext,
  flagged: Map<string, string>,
  unserved: ReadonlySet<string>,
): Promise<number> {
  let done = 0;
  for (const [id, consumer] of flagged) {
    if (unserved.has(consumer)) continue;
    if (done >= ROUND_MAX) break;
    tenure.check();
    flagged.delete(id);
    const isWritten = await flagService(bus, id, true, () => undefined, actor).catch((error: unknown) => {
      flagged.set(id, consumer);
      logger.warn({ task: id, error: messageOf(error) }, 'cannot mark a task as servable again');
      return false;
    });
    if (isWritten) done++;
  }
  return done;
}
