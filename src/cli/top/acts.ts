// Carries out what a key asked for, and reports the outcome in one line.
import type { Bus } from '../../bus/index.ts';
import { askNode } from '../../nodes/index.ts';
import { messageOf } from '../../protocol/index.ts';
import { cancelTask } from '../../tasks/index.ts';
import type { Act, Notice } from './picture.ts';

/** Never throws: a failure is an outcome too. */
export async function perform(bus: Bus, act: Act, actor: string): Promise<Notice> {
  try {
    return act.verb === 'cancel'
      ? await cancel(bus, act.task, actor)
      : await request(bus, act.node, act.verb);
  } catch (error) {
    return { text: messageOf(error), isError: true };
  }
}

async function cancel(bus: Bus, task: string, actor: string): Promise<Notice> {
  const { kind, record } = await cancelTask(bus, task, actor);
  return kind === 'cancelled'
    ? { text: `${task} cancelled`, isError: false }
    : { text: `${task} is ${record.state}: nothing to cancel`, isError: true };
}

async function request(bus: Bus, node: string, verb: 'drain' | 'pause' | 'resume'): Promise<Notice> {
  const { state, running } = await askNode(bus, node, verb);
  return { text: `node ${node} is ${state}, ${running} running`, isError: false };
}
