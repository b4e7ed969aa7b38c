// Asking the holder of a task. One that answers keeps its task: a server that was killed forgets deliveries and their
// counts, and a worker that was cut off for longer than its lease may be back at work. Its renewals push the delay out;
// its death lets it run out.
import type { Bus } from '../bus/index.ts';
import { HoldsReply, holdsSubject, isId, type TaskRecord } from '../protocol/index.ts';

/** How long the holder of a task may take to say that it is at work on it. */
export const HOLDER_ANSWER_MS = 1_000;

/** Whether the node of a record's attempt says that it is at work on it. */
export async function isHeld(bus: Bus, record: TaskRecord): Promise<boolean> {
  if (record.node === undefined || !isId(record.node)) return false;
  const asked = await bus.requests.ask(holdsSubject(record.node, record.id), undefined, HOLDER_ANSWER_MS);
  const reply = asked.kind === 'reply' ? HoldsReply.safeParse(asked.value) : undefined;
  return reply?.success === true && reply.data.holds;
}
