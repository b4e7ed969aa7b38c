// Claims by hand, for agents that work outside a worker. They take the next task or a named one under a lease of minutes,
// renew it, and report the outcome, each time from a new connection: a ticket carries the lease between them.
// The lease of a lane is seconds long. A longer one is a negative acknowledgement with a delay: it brings the message
// back when the agent no longer renews, and each renewal extends it.
import type { Bus, Delivery } from '../bus/index.ts';
import {
  isActive,
  isFinal,
  laneConsumer,
  OrchError,
  PRIORITIES,
  parseLane,
  type TaskRecord,
} from '../protocol/index.ts';
import { Attempt } from './attempt.ts';
import { type ClaimOutcome, claim } from './claim.ts';
import { lastEntry } from './journal.ts';
import { rankFor } from './lanes.ts';
import { getTask } from './watch.ts';

/** How far into a lane a named task is looked for. */
export const NAMED_SCAN_MAX = 256;
/** A lane's tasks may be gone between the list and the claim: the most tries of a lane. */
const TRIES_MAX = 20;

/** The claiming agent, what it can serve, and for how long it takes the task. */
export interface ManualClaim {
  actor: string;
  capabilities: readonly string[];
  leaseMs: number;
}

/** A claimed attempt as data: all that another process needs to continue it. */
export interface Ticket {
  id: string;
  attempt: number;
  actor: string;
  /** Journal sequence of the attempt's last entry. */
  fence: number;
  leaseMs: number;
  subject: string;
  ackSubject: string;
}

/** Claims the next task that these capabilities serve, high before medium before low; undefined when none waits. */
export async function claimNext(bus: Bus, options: ManualClaim): Promise<Attempt | undefined> {
  const lanes = (await bus.lanes.list())
    .map(lane => ({ ...lane, rank: rankFor(lane.lane, options.capabilities) }))
    .filter(lane => lane.rank !== undefined)
    .sort((a, b) => PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority));
  for (const { consumer, rank = 0 } of lanes) {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const [delivery] = await bus.lanes.fetch(consumer, 1, rank);
      if (!delivery) break;
      const outcome = await claim(bus, delivery, options);
      if (outcome.kind === 'claimed') return withLease(outcome.attempt, options.leaseMs);
    }
  }
  return undefined;
}

/**
 * Claims a named task. Throws `not_found`, `conflict` (claimed, final, not yet due, or deeper in its lane than 256),
 * `no_worker` when a required capability is not offered.
 */
export async function claimNamed(bus: Bus, taskId: string, options: ManualClaim): Promise<Attempt> {
  const record = await getTask(bus, taskId);
  const missing = parseLane(record.lane).filter(capability => !options.capabilities.includes(capability));
  if (missing.length > 0) {
    throw new OrchError('no_worker', `task ${taskId} needs ${missing.join(', ')}`, {
      advice: `claim it with --caps ${record.lane.replaceAll('+', ',')}`,
    });
  }
  if (isActive(record.state)) throw takenBy(taskId, record);
  if (isFinal(record.state)) throw new OrchError('conflict', `task ${taskId} is ${record.state}`);
  await bus.lanes.ensure(record.priority, record.lane);
  const consumer = laneConsumer(record.priority, record.lane);
  const deliveries = await bus.lanes.fetch(
    consumer,
    NAMED_SCAN_MAX,
    rankFor(record.lane, options.capabilities) ?? 0,
  );
  const wanted = deliveries.find(delivery => delivery.subject.endsWith(`.${taskId}`));
  releaseOthers(deliveries, wanted);
  if (!wanted) {
    throw new OrchError(
      'conflict',
      `task ${taskId} cannot be taken now: it is delayed, on offer to a worker, or deep in its lane`,
      {
        advice: 'try again, or claim the next one',
      },
    );
  }
  const outcome = await claim(bus, wanted, options);
  if (outcome.kind !== 'claimed') throw notClaimed(taskId, outcome);
  return withLease(outcome.attempt, options.leaseMs);
}

function releaseOthers(deliveries: readonly Delivery[], kept: Delivery | undefined): void {
  for (const delivery of deliveries) if (delivery !== kept) delivery.nak();
}

function withLease(attempt: Attempt, leaseMs: number): Attempt {
  attempt.renew(leaseMs);
  return attempt;
}

const takenBy = (taskId: string, record: TaskRecord) =>
  new OrchError(
    'conflict',
    `task ${taskId} was claimed by ${record.node ?? 'another worker'} at ${record.claimedAt ?? 'an unknown time'}`,
  );

function notClaimed(taskId: string, outcome: Exclude<ClaimOutcome, { kind: 'claimed' }>): OrchError {
  switch (outcome.kind) {
    case 'taken':
      return new OrchError(
        'conflict',
        `task ${taskId} was claimed by ${outcome.by ?? 'another worker'} just now`,
      );
    case 'later':
      return new OrchError(
        'conflict',
        `task ${taskId} is not due for ${Math.ceil(outcome.delayMs / 1_000)}s`,
      );
    case 'gone':
      return new OrchError('conflict', `task ${taskId} is ${outcome.why}`);
  }
}

/** The ticket of an attempt that another process will continue. */
export function ticketOf(attempt: Attempt, leaseMs: number): Ticket {
  const { id, actor, fence, record, delivered } = attempt;
  return { id, attempt: record.attempt, actor, fence, leaseMs, ...delivered };
}

/** Continues an attempt. Throws `conflict` when its fence fell: the lease ran out, or the task was cancelled. */
export async function resumeAttempt(bus: Bus, ticket: Ticket): Promise<Attempt> {
  const last = await lastEntry(bus, ticket.id, 'leader');
  if (last?.seq !== ticket.fence) {
    throw new OrchError(
      'conflict',
      `attempt ${ticket.attempt} at task ${ticket.id} is over: the task is ${last?.task.state ?? 'unknown'}${last ? ` by ${last.actor}` : ''}`,
      {
        advice: 'stop working on it; its result is not wanted any more',
      },
    );
  }
  const delivery = bus.lanes.resume(ticket.subject, ticket.ackSubject);
  return new Attempt(bus, delivery, { actor: ticket.actor, record: last.task, fence: ticket.fence });
}
