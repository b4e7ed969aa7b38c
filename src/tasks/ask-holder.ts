// Asks the holder of a task whether it still works on it. A holder that does keeps the task: a killed server forgets
// deliveries and their counts, and a worker that was cut off for longer than its lease may be back at work. Its renewals
// extend the delay of the next delivery; when it dies the delay runs out.
import type { Bus } from '../bus/index.ts';
import { HoldsReply, holdsSubject, isId, type TaskRecord } from '../protocol/index.ts';

/** How long the holder of a task may take to answer. */
const HOLDER_ANSWER_MS = 1_000;

/** Whether the node that claimed a task answers that it is at work on it; no answer counts as no. */
export async function isHolderAtWork(bus: Bus, record: TaskRecord): Promise<boolean> {
  if (record.node === undefined || !isId(record.node)) return false;
  const asked = await bus.requests.ask(holdsSubject(record.node, record.id), undefined, HOLDER_ANSWER_MS);
  const reply = asked.kind === 'reply' ? HoldsReply.safeParse(asked.value) : undefined;
  return reply?.success === true && reply.data.holds;
}
