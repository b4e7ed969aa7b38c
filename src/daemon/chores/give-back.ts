// Gives the tasks of a lost node back to their lanes at once, without waiting for their leases to run out.
// The redelivery is claimed like any other delivery: a holder that turns out to be alive keeps its task.
import type { Bus } from '../../bus/index.ts';
import { followNodeEntries, type NodeLine } from '../../nodes/index.ts';
import { isActive, laneConsumer, lostNodeEntries } from '../../protocol/index.ts';
import { lastEntry, listTasks } from '../../tasks/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

/** Covers what an earlier janitor saw and perhaps did not finish. */
const LOOK_BACK_MS = 600_000;
const TASKS_MAX = 10_000;

/** Redelivers the tasks of each node that was lost. */
export const giveBack: Chore = {
  name: 'give-back',
  everyMs: 30_000,
  begin(context, wake) {
    const lost: NodeLine[] = [];
    void followLost(context, line => {
      lost.push(line);
      wake();
    });
    return {
      async round() {
        let [done, failure]: [number, unknown] = [0, undefined];
        // One that fails is tried again in the next round and does not hold up the others.
        for (const line of lost.splice(0)) {
          try {
            done += await giveBackTasksOf(context, line);
          } catch (error) {
            lost.push(line);
            failure = error;
          }
        }
        if (failure !== undefined) throw failure;
        return done;
      },
    };
  },
};

async function followLost({ bus, tenure }: ChoreContext, onLost: (line: NodeLine) => void): Promise<void> {
  const since = new Date(Date.now() - LOOK_BACK_MS);
  const options = { filter: lostNodeEntries, since, signal: tenure.signal };
  for await (const line of followNodeEntries(bus, options)) onLost(line);
}

async function giveBackTasksOf({ bus, tenure, logger }: ChoreContext, lost: NodeLine): Promise<number> {
  const lanes = await heldSince(bus, lost);
  let count = 0;
  for (const [consumer, queueSeqs] of lanes) {
    tenure.check();
    await bus.lanes.redeliver(consumer, queueSeqs);
    count += queueSeqs.length;
  }
  if (count > 0) logger.info({ lost: lost.node.id, tasks: count }, 'gave back the tasks of a lost node');
  return count;
}

// The queue messages that a node held when it was lost, by lane. A task with a later entry belongs to another node by
// now, or to the next incarnation of this one.
async function heldSince(bus: Bus, lost: NodeLine): Promise<Map<string, number[]>> {
  const lanes = new Map<string, number[]>();
  const states = ['claimed', 'started', 'blocked'] as const;
  const listed = await listTasks(bus, { node: lost.node.id, states });
  for (const { id } of listed.slice(0, TASKS_MAX)) {
    const last = await lastEntry(bus, id, 'leader');
    if (!last || last.seq > lost.seq || !isActive(last.task.state)) continue;
    const { priority, lane, queueSeq } = last.task;
    if (queueSeq === undefined) continue;
    const consumer = laneConsumer(priority, lane);
    lanes.set(consumer, [...(lanes.get(consumer) ?? []), queueSeq]);
  }
  return lanes;
}
