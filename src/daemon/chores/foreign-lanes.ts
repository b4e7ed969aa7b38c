// Makes lanes that a foreign client published to without one, and ends messages on subjects that are no lane's.
// The queue's messages are counted against those that lanes have; only where the lanes have fewer are subjects read.
import {
  isPriority,
  messageOf,
  parseLane,
  parseTaskSubject,
  parseTaskTokens,
  queueFilter,
  TASKS,
} from '../../protocol/index.ts';
import { countOutsideLanes, refuseMessage } from '../../tasks/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

const ROUND_MAX = 1_000;

export const foreignLanes: Chore = {
  name: 'foreign-lanes',
  everyMs: 5_000,
  begin(context) {
    let wasShort = false;
    return {
      async round() {
        const isShort = (await countOutsideLanes(context.bus, await context.bus.lanes.list())) > 0;
        // Messages come and go between the two counts; what is still there the next time is no coincidence.
        const isCertain = isShort && wasShort;
        wasShort = isShort;
        return isCertain ? cover(context) : 0;
      },
    };
  },
};

async function cover({ bus, actor, tenure, logger }: ChoreContext): Promise<number> {
  const known = new Set((await bus.lanes.list()).map(({ consumer }) => consumer));
  let [done, failure]: [number, unknown] = [0, undefined];
  for (const subject of await bus.streams.subjects(TASKS, queueFilter)) {
    const { priority, lane } = parseTaskTokens(subject);
    if (known.has(`${priority}_${lane}`)) continue;
    tenure.check();
    if (isPriority(priority) && isLane(lane) && parseTaskSubject(subject)) {
      known.add(`${priority}_${lane}`);
      try {
        await bus.lanes.ensure(priority, lane);
      } catch (error) {
        // One lane too many; what is behind it is looked at all the same.
        failure = error;
        continue;
      }
      logger.info({ lane: `${priority}_${lane}` }, 'made a lane that a foreign client published to');
      done++;
    } else if (await refuseMessage(bus, subject, actor).catch(error => report(subject, error))) {
      done++;
    }
    if (done >= ROUND_MAX) break;
  }
  if (failure !== undefined) throw failure;
  return done;

  function report(subject: string, error: unknown): undefined {
    logger.warn({ subject, error: messageOf(error) }, 'a message that is no task could not be ended');
  }
}

function isLane(lane: string): boolean {
  try {
    parseLane(lane);
    return true;
  } catch {
    return false;
  }
}
