// Acknowledgements that are held back for a moment. Without a server.
import { expect, test } from 'vitest';
import { LateAcks } from '../../src/bus/acks.ts';
import { until } from '../support/wait.ts';

function held(queueSeqs: readonly number[]) {
  const acks = new LateAcks();
  const sent: number[] = [];
  for (const queueSeq of queueSeqs) acks.later({ queueSeq, ack: () => void sent.push(queueSeq) });
  return { acks, sent };
}

test('a flush sends what is held, the oldest message first, and once', () => {
  const { acks, sent } = held([12, 10, 11]);
  expect(sent).toEqual([]);
  acks.flush();
  acks.flush();
  expect(sent).toEqual([10, 11, 12]);
});

test('what nobody flushes goes by itself', async () => {
  const { sent } = held([2, 1]);
  await until('both to be sent', () => sent.length === 2);
  expect(sent).toEqual([1, 2]);
});
