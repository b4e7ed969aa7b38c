// Finds tasks that the journal has as waiting or running and the queue has no message of, and repairs them.
import { parseLastToken, queueFilter, TASKS } from '../../protocol/index.ts';
import { HALF_PUBLISHED_MS, openSince, repairTask } from '../../tasks/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

const ROUND_MAX = 500;

/** `olderThanMs`: how long an entry may be without a message. */
export const missingMessages = (olderThanMs = HALF_PUBLISHED_MS): Chore => ({
  name: 'missing-messages',
  everyMs: Math.min(60_000, olderThanMs),
  begin: context => ({ round: () => repairMissing(context, olderThanMs) }),
});

async function repairMissing(
  { bus, actor, tenure, logger }: ChoreContext,
  olderThanMs: number,
): Promise<number> {
  const open = await openSince(bus, new Date(Date.now() - olderThanMs), tenure.signal);
  if (open.length === 0) return 0;
  const queued = new Set((await bus.streams.subjects(TASKS, queueFilter)).map(parseLastToken));
  let done = 0;
  for (const id of open.filter(id => !queued.has(id)).slice(0, ROUND_MAX)) {
    tenure.check();
    const repaired = await repairTask(bus, id, actor);
    if (repaired === 'fine') continue;
    logger.warn({ task: id }, `its message was not in the queue: ${repaired}`);
    done++;
  }
  return done;
}
