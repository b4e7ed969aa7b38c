// Claiming a delivered task by compare-and-set on the journal. Contention is a value, never an exception.
// A first delivery is claimed in one round trip: nothing but the `queued` entry may exist. Whatever else the delivery
// may be (a lost lease, a retry, a cancelled task, a second message of one task) is found out only when that fails.
import type { Bus, Delivery } from '../bus/index.ts';
import type { TaskAddress, TaskMessage, TaskRecord } from '../protocol/index.ts';
import { isHolderAtWork } from './ask-holder.ts';
import { Attempt } from './attempt.ts';
import { keepDeadLetter } from './dead-letters.ts';
import { failInvalid } from './invalid.ts';
import { append, fenceOf, type JournalLine, lastEntry } from './journal.ts';
import { attemptsUsed, decideClaim, queuedRecord, waitMs } from './lifecycle.ts';
import { readMessage } from './message.ts';

export type ClaimOutcome =
  | { kind: 'claimed'; attempt: Attempt }
  /** Another worker has it. The delivery is over for this one. */
  | { kind: 'taken'; by: string | undefined; at: string | undefined }
  /** Final, a duplicate, out of attempts, or not a task at all; the message was removed. */
  | { kind: 'gone'; why: string }
  /** Not before some time; the message was given back until then. */
  | { kind: 'later'; delayMs: number };

export interface Claimant {
  actor: string;
  /** The lease of the lane that delivered. */
  leaseMs: number;
  /**
   * How long the claim waits for its acknowledgement, in milliseconds; default the bus's. A claimant that waits for long
   * renews the delivery meanwhile: a claim that was stored and is given up burns an attempt that never began.
   */
  patienceMs?: number;
  /** Ends waiting writes of the claim and of its attempt. */
  signal?: AbortSignal;
  /** Holds the ids of tasks whose claim is being written just now: whether it is stored is not known yet. */
  writing?: Set<string>;
}

/** A delivery of a valid task, and the worker that wants it. */
interface Case {
  bus: Bus;
  delivery: Delivery;
  claimant: Claimant;
  message: TaskMessage;
  /** The record of the task where the journal knows nothing of it. */
  fresh: TaskRecord;
}

/** Claims what a delivery brings. Throws `unavailable` when the journal cannot be reached; the lease then runs out. */
export async function claim(bus: Bus, delivery: Delivery, claimant: Claimant): Promise<ClaimOutcome> {
  const read = readMessage(delivery);
  if (read.kind === 'invalid') return refuse(bus, delivery, claimant, read);
  const { address, message } = read;
  const fresh = queuedRecord(address, message, message.createdAt ?? delivery.storedAt.toISOString());
  const given: Case = { bus, delivery, claimant, message, fresh };
  if (delivery.deliveryCount > 1 || waitMs(fresh, new Date()) > 0) {
    // A replica that lags could show an end that a retry has undone since, and the message would be dropped.
    return decide(given, await lastEntry(bus, fresh.id, 'leader'));
  }
  const appended = await writeClaim(given, fresh, 0);
  return appended.kind === 'conflict' ? decide(given, appended.last) : claimed(given, appended);
}

async function decide(given: Case, last: JournalLine | undefined): Promise<ClaimOutcome> {
  const { bus, delivery, claimant, fresh } = given;
  const record = !last || last.type === 'queued' ? fresh : last.task;
  const fence = fenceOf(last);
  const decision = decideClaim(record, delivery.queueSeq, new Date());
  switch (decision.kind) {
    case 'drop':
      delivery.ack();
      return { kind: 'gone', why: record.state };
    case 'revive': {
      const revived = await append(bus, record, { type: 'requeued' }, claimant.actor, { fence });
      return decide(
        given,
        revived.kind === 'written' ? await lastEntry(bus, fresh.id, 'leader') : revived.last,
      );
    }
    case 'wait':
      return giveBackFor(delivery, decision.delayMs);
    case 'take-over': {
      // A first delivery cannot be a lease that ran out.
      const isHeldNow = delivery.deliveryCount === 1 || (await isHolderAtWork(bus, record));
      if (isHeldNow) return giveBackFor(delivery, record.leaseMs ?? claimant.leaseMs);
      if (attemptsUsed(record) >= record.maxAttempts) return bury(given, record, fence);
      break;
    }
    default:
  }
  const appended = await writeClaim(given, record, fence);
  return appended.kind === 'written' ? claimed(given, appended) : takenBy(appended.last);
}

function giveBackFor(delivery: Delivery, delayMs: number): ClaimOutcome {
  delivery.nak(delayMs);
  return { kind: 'later', delayMs };
}

// The holder of the current delivery, or the writer of the end, came first; its acknowledgement is the one that counts.
const takenBy = (last: JournalLine | undefined): ClaimOutcome => ({
  kind: 'taken',
  by: last?.actor,
  at: last?.at,
});

// The worker of the last attempt died with it, as often as it was allowed to.
async function bury(
  { bus, delivery, claimant }: Case,
  record: TaskRecord,
  fence: number,
): Promise<ClaimOutcome> {
  const error = `${record.node ?? 'the worker'} fell silent in attempt ${record.attempt}`;
  await keepDeadLetter(bus, record.id, delivery.queueSeq);
  const change = { type: 'failed', reason: 'lease-lost', error } as const;
  const appended = await append(bus, record, change, claimant.actor, { fence });
  if (appended.kind === 'conflict') return takenBy(appended.last);
  delivery.ack();
  return { kind: 'gone', why: 'failed' };
}

async function writeClaim({ bus, delivery, claimant }: Case, record: TaskRecord, fence: number) {
  const { actor, leaseMs, patienceMs, signal, writing } = claimant;
  const change = { type: 'claimed', node: actor, queueSeq: delivery.queueSeq, leaseMs } as const;
  const patience = patienceMs === undefined ? {} : { timeoutMs: patienceMs };
  writing?.add(record.id);
  try {
    return await append(bus, record, change, actor, { fence, signal, ...patience });
  } finally {
    writing?.delete(record.id);
  }
}

function claimed(
  { bus, delivery, claimant, message }: Case,
  { record, seq }: { record: TaskRecord; seq: number },
): ClaimOutcome {
  const { actor, signal } = claimant;
  const given = { actor, input: message.input, record, fence: seq, signal };
  return { kind: 'claimed', attempt: new Attempt(bus, delivery, given) };
}

// What is not a valid task ends as failed. Where a task of this id was brought back by a retry, it is that one's end;
// where one has a life of its own, only the message is removed.
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
