// Claiming a delivered task by compare-and-set on the journal. Contention is a value, never an exception.
// A first delivery is claimed in one round trip: nothing but the `queued` entry may exist. Whatever else the delivery
// may be (a lost lease, a retry, a cancelled task, a second message of one task) is found out only when that fails.
import type { Bus, Delivery } from '../bus/index.ts';
import type { TaskAddress, TaskMessage, TaskRecord } from '../protocol/index.ts';
import { Attempt } from './attempt.ts';
import { keepDeadLetter } from './dead.ts';
import { isHeld } from './holder.ts';
import { failInvalid } from './invalid.ts';
import { append, fenceOf, type JournalLine, lastEntry } from './journal.ts';
import { attemptsUsed, decideClaim, queuedRecord, waitMs } from './lifecycle.ts';
import { readMessage } from './message.ts';

export type ClaimOutcome =
  | { kind: 'claimed'; attempt: Attempt }
  /** Somebody else has it. The delivery is over for us. */
  | { kind: 'taken'; by: string | undefined; at: string | undefined }
  /** Final, a duplicate, out of attempts, or not a task at all; the message was removed. */
  | { kind: 'gone'; why: string }
  /** Not before some time; the message was given back until then. */
  | { kind: 'later'; delayMs: number };

export interface Claimant {
  actor: string;
  /** The lease of the lane that delivered. */
  leaseMs: number;
}

/** Claims what a delivery brings. Throws `unavailable` when the journal cannot be reached; the lease then runs out. */
export async function claim(bus: Bus, delivery: Delivery, claimant: Claimant): Promise<ClaimOutcome> {
  const read = readMessage(delivery);
  if (read.kind === 'invalid') return refuse(bus, delivery, claimant, read);
  const { address, message } = read;
  const fresh = queuedRecord(address, message, message.createdAt ?? delivery.storedAt.toISOString());
  if (delivery.deliveryCount > 1 || waitMs(fresh, new Date()) > 0) {
    // A replica that lags could show an end that a retry has undone since, and the message would be dropped.
    const last = await lastEntry(bus, fresh.id, 'leader');
    return decide(bus, delivery, claimant, message, fresh, last);
  }
  const appended = await writeClaim(bus, delivery, claimant, fresh, 0);
  if (appended.kind === 'conflict') return decide(bus, delivery, claimant, message, fresh, appended.last);
  return claimed(bus, delivery, claimant, message, appended);
}

async function decide(
  bus: Bus,
  delivery: Delivery,
  claimant: Claimant,
  message: TaskMessage,
  fresh: TaskRecord,
  last: JournalLine | undefined,
): Promise<ClaimOutcome> {
  const record = !last || last.type === 'queued' ? fresh : last.task;
  const decision = decideClaim(record, delivery.queueSeq, new Date());
  if (decision.kind === 'drop') {
    delivery.ack();
    return { kind: 'gone', why: record.state };
  }
  if (decision.kind === 'revive') {
    const revived = await append(bus, record, { type: 'requeued' }, claimant.actor, { fence: fenceOf(last) });
    const now = revived.kind === 'written' ? await lastEntry(bus, fresh.id, 'leader') : revived.last;
    return decide(bus, delivery, claimant, message, fresh, now);
  }
  if (decision.kind === 'wait') {
    delivery.nak(decision.delayMs);
    return { kind: 'later', delayMs: decision.delayMs };
  }
  if (decision.kind === 'take-over') {
    // A first delivery cannot be a lease that ran out.
    if (delivery.deliveryCount === 1 || (await isHeld(bus, record))) {
      const delayMs = record.leaseMs ?? claimant.leaseMs;
      delivery.nak(delayMs);
      return { kind: 'later', delayMs };
    }
    if (attemptsUsed(record) >= record.maxAttempts)
      return bury(bus, delivery, claimant, record, fenceOf(last));
  }
  const appended = await writeClaim(bus, delivery, claimant, record, fenceOf(last));
  if (appended.kind === 'written') return claimed(bus, delivery, claimant, message, appended);
  // Who came first holds the current delivery, or ended the task; its acknowledgement is the one that counts.
  return { kind: 'taken', by: appended.last?.actor, at: appended.last?.at };
}

// The worker of the last attempt died with it, as often as it was allowed to.
async function bury(
  bus: Bus,
  delivery: Delivery,
  { actor }: Claimant,
  record: TaskRecord,
  fence: number,
): Promise<ClaimOutcome> {
  const error = `${record.node ?? 'the worker'} fell silent in attempt ${record.attempt}`;
  await keepDeadLetter(bus, record.id, delivery.queueSeq);
  const appended = await append(bus, record, { type: 'failed', reason: 'lease-lost', error }, actor, {
    fence,
  });
  if (appended.kind === 'conflict') return { kind: 'taken', by: appended.last?.actor, at: appended.last?.at };
  delivery.ack();
  return { kind: 'gone', why: 'failed' };
}

function writeClaim(
  bus: Bus,
  delivery: Delivery,
  { actor, leaseMs }: Claimant,
  record: TaskRecord,
  fence: number,
) {
  return append(bus, record, { type: 'claimed', node: actor, queueSeq: delivery.queueSeq, leaseMs }, actor, {
    fence,
  });
}

function claimed(
  bus: Bus,
  delivery: Delivery,
  { actor }: Claimant,
  message: TaskMessage,
  { record, seq }: { record: TaskRecord; seq: number },
): ClaimOutcome {
  return {
    kind: 'claimed',
    attempt: new Attempt(bus, delivery, { actor, input: message.input, record, fence: seq }),
  };
}

// What is not a valid task ends as failed. Where a task of this id was brought back by a retry, it is that one's end;
// where one has a life of its own, only the message goes.
async function refuse(
  bus: Bus,
  delivery: Delivery,
  { actor }: Claimant,
  { address, error }: { address: TaskAddress; error: string },
): Promise<ClaimOutcome> {
  await failInvalid(bus, { seq: delivery.queueSeq, time: delivery.storedAt }, address, error, actor);
  delivery.ack();
  return { kind: 'gone', why: 'invalid' };
}
