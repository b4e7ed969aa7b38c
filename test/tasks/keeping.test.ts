// What was published is kept until it is done or cancelled, however publishers, workers and operators interleave.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { anyTaskSubject, isFinal, OrchError, TASKS } from '../../src/protocol/index.ts';
import { cancelTask, claim, lastEntry, publishTask, retryTask, taskHistory } from '../../src/tasks/index.ts';
import { nextAttempt, nextDelivery } from '../support/lane.ts';
import { TEST_LEASE_MS, TestNats } from '../support/nats.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

let names = 0;
const unique = (prefix: string) => `${prefix}-${++names}`;

describe('a retry', () => {
  test('whose attempt fails before the retry has ended keeps the input for the next retry', async () => {
    const lane = unique('lane');
    const { id } = await publishTask(bus, { capabilities: [lane], maxAttempts: 1, input: 'precious' }, 'p');
    await (await nextAttempt(bus, 'w', lane)).fail({ reason: 'error', error: 'no' });
    const operator = await nats.bus();
    // Everything that the retry does after the message is back in the queue comes late.
    const slow = operator.streams;
    const [write, remove] = [slow.write.bind(slow), slow.deleteMessage.bind(slow)];
    slow.write = async (subject, ...rest) => {
      const written = await write(subject, ...rest);
      if (subject.startsWith('tasks.') && written.kind === 'stored')
        await (await nextAttempt(bus, 'w', lane)).fail({ reason: 'error', error: 'again' });
      return written;
    };
    slow.deleteMessage = (...args) => remove(...args);
    await retryTask(operator, id, 'op');
    expect((await lastEntry(bus, id, 'leader'))?.task.state).toBe('failed');
    await retryTask(bus, id, 'op');
    const attempt = await nextAttempt(bus, 'w', lane);
    expect(attempt.input).toBe('precious');
    await attempt.done('ok');
  });
});

describe('a publisher', () => {
  test('that cannot find out whether there is a lane writes nothing', async () => {
    const lane = unique('lane');
    const broken = await nats.bus();
    broken.lanes.ensure = () => Promise.reject(new OrchError('unavailable', 'no answer'));
    const id = unique('unsent');
    await expect(publishTask(broken, { id, capabilities: [lane] }, 'p')).rejects.toThrow('no answer');
    expect(await bus.streams.last(TASKS, anyTaskSubject(id), 'leader')).toBeUndefined();
    expect(await lastEntry(bus, id, 'leader')).toBeUndefined();
  });

  test('of a known id puts no second message into the queue, whatever state the task is in', async () => {
    const lane = unique('lane');
    const spec = { id: unique('known'), capabilities: [lane], maxAttempts: 1 };
    await publishTask(bus, spec, 'p');
    const attempt = await nextAttempt(bus, 'w', lane);
    const writer = await nats.bus();
    const subjects: string[] = [];
    const write = writer.streams.write.bind(writer.streams);
    writer.streams.write = (subject, ...rest) => {
      subjects.push(subject);
      return write(subject, ...rest);
    };
    expect((await publishTask(writer, spec, 'q')).created).toBe(false);
    await attempt.fail({ reason: 'error', error: 'no' });
    expect(await publishTask(writer, spec, 'q')).toMatchObject({ created: false, state: 'failed' });
    expect(subjects.filter(subject => subject.startsWith('tasks.'))).toEqual([]);
  });
});

/** What the parties to a task do, in an order and with pauses that are drawn. */
type Step = {
  who: 'publish' | 'work' | 'retry' | 'cancel';
  outcome: 'done' | 'fail' | 'die';
  pauseMs: number;
};
const step: fc.Arbitrary<Step> = fc.record({
  who: fc.constantFrom('publish', 'work', 'work', 'retry', 'cancel'),
  outcome: fc.constantFrom('done', 'fail', 'fail', 'die'),
  pauseMs: fc.nat({ max: 6 }),
});

describe('any interleaving', () => {
  test('leaves each task with its input until it is done or cancelled, and with one end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 4, maxLength: 14 }),
        fc.infiniteStream(fc.nat({ max: 4 })),
        checkSteps,
      ),
      { numRuns: 40, interruptAfterTimeLimit: 30_000 },
    );
  });
});

async function checkSteps(steps: readonly Step[], delays: IterableIterator<number>): Promise<void> {
  const lane = unique('lane');
  const id = unique('any');
  const spec = { id, capabilities: [lane], maxAttempts: 1, input: 'precious' };
  await publishTask(bus, spec, 'p');
  const parties = await Promise.all(Array.from({ length: 4 }, () => delayedBus(delays)));
  await Promise.all(
    parties.map(async (party, i) => {
      for (const [n, { who, outcome, pauseMs }] of steps.entries()) {
        if (n % parties.length !== i) continue;
        await new Promise(resolve => setTimeout(resolve, pauseMs));
        await act(party, who, outcome, { lane, spec, actor: `party-${i}` }).catch(expectKnown);
      }
    }),
  );
  await Promise.all(parties.map(party => party.close()));
  await checkKept(id, lane);
}

/** A connection whose writes, purges and deletes each come later by some drawn milliseconds. */
async function delayedBus(delays: IterableIterator<number>): Promise<Bus> {
  const party = await nats.bus();
  const { streams } = party;
  const later = <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    (async (...args: A) => {
      await new Promise(resolve => setTimeout(resolve, delays.next().value ?? 0));
      return call(...args);
    }) as (...args: A) => Promise<R>;
  streams.write = later(streams.write.bind(streams));
  streams.purge = later(streams.purge.bind(streams));
  streams.deleteMessage = later(streams.deleteMessage.bind(streams));
  return party;
}

async function act(
  party: Bus,
  who: Step['who'],
  outcome: Step['outcome'],
  {
    lane,
    spec,
    actor,
  }: { lane: string; spec: Parameters<typeof publishTask>[1] & { id: string }; actor: string },
): Promise<void> {
  if (who === 'publish') await publishTask(party, spec, actor);
  else if (who === 'retry') await retryTask(party, spec.id, actor);
  else if (who === 'cancel') await cancelTask(party, spec.id, actor);
  else {
    const [delivery] = await party.lanes.fetch(`medium_${lane}`, 1, 0);
    if (!delivery) return;
    const claimed = await claim(party, delivery, { actor, leaseMs: TEST_LEASE_MS });
    if (claimed.kind !== 'claimed') return;
    expect(claimed.attempt.input).toBe('precious');
    if (outcome === 'done') await claimed.attempt.done('ok');
    if (outcome === 'fail') await claimed.attempt.fail({ reason: 'error', error: 'no' });
    // A worker that dies gives its delivery back by the end of its lease; here at once.
    if (outcome === 'die') await delivery.giveBack();
  }
}

// What each party may be told of the others.
function expectKnown(error: unknown): void {
  expect(error).toBeInstanceOf(OrchError);
  expect(['conflict', 'not_found']).toContain((error as OrchError).code);
  expect((error as OrchError).message).not.toContain('no longer kept');
}

async function checkKept(id: string, lane: string): Promise<void> {
  const history = await taskHistory(bus, id);
  const ends = history.filter(({ task }) => isFinal(task.state));
  const retries = history.filter(({ type }) => type === 'requeued').length;
  expect(ends.length).toBeLessThanOrEqual(retries + 1);
  const last = history.at(-1);
  if (last?.task.state === 'done' || last?.task.state === 'cancelled') return;
  if (last?.task.state === 'failed') await retryTask(bus, id, 'op');
  // Queued, claimed by a worker that died, or brought back just now: it is delivered with its input.
  for (;;) {
    const delivery = await nextDelivery(bus, lane);
    const outcome = await claim(bus, delivery, { actor: 'last', leaseMs: TEST_LEASE_MS });
    if (outcome.kind === 'gone' && outcome.why === 'failed') await retryTask(bus, id, 'op');
    if (outcome.kind !== 'claimed') continue;
    expect(outcome.attempt.input).toBe('precious');
    await outcome.attempt.done('ok');
    return;
  }
}
