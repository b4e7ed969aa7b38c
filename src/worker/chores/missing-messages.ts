// Finds tasks that the journal has as waiting or running and the queue has no message of, and repairs them.
import { isFinal, TASK_STATES, TASKS } from '../../protocol/index.ts';
import { HALF_PUBLISHED_MS, listTasks, repairTask } from '../../tasks/index.ts';
import type { Chore, ChoreContext } from '../janitor.ts';

const ROUND_MAX = 500;
const OPEN = TASK_STATES.filter(state => !isFinal(state));

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
  const before = Date.now() - olderThanMs;
  const open = (await listTasks(bus, { states: OPEN })).filter(
    ({ updatedAt }) => updatedAt !== undefined && Date.parse(updatedAt) < before,
  );
  if (open.length === 0) return 0;
  const queued = new Set((await bus.subjects(TASKS, 'tasks.>')).map(subject => subject.split('.').at(-1)));
  let done = 0;
  for (const { id } of open.filter(task => !queued.has(task.id)).slice(0, ROUND_MAX)) {
    tenure.check();
    const repaired = await repairTask(bus, id, actor);
    if (repaired === 'fine') continue;
    logger.warn({ task: id }, `its message was not in the queue: ${repaired}`);
    done++;
  }
  return done;
}
