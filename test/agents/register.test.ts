// Agents without a daemon, registered by hand.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { registerAgent, unregisterAgent } from '../../src/agents/index.ts';
import type { Bus } from '../../src/bus/index.ts';
import { listAgents } from '../../src/cluster/index.ts';
import { AGENTS } from '../../src/protocol/index.ts';
import { TestNats } from '../support/nats.ts';
import { refusal, unique } from '../support/node.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

test('agents without a daemon are registered, kept alive, and belong to whoever registered them', async () => {
  const id = unique('hand');
  const mine = { id, visibility: 'shared', owner: 'me', host: 'here', ttlMs: 60_000 } as const;
  await registerAgent(bus, mine);
  await registerAgent(bus, { ...mine, status: 'working', task: 't-1' });
  expect((await listAgents(bus)).find(agent => agent.id === id)).toMatchObject({
    owner: 'me@here',
    hasDaemon: false,
    status: 'working',
    task: 't-1',
  });
  for (const other of [{ owner: 'you' }, { host: 'elsewhere' }])
    expect(await refusal(registerAgent(bus, { ...mine, ...other }))).toMatchObject({ code: 'conflict' });
  // Kept alive without a word on it, it stays what it was; idle, it is on no task.
  const { visibility: _, ...call } = mine;
  expect(await registerAgent(bus, { ...call, status: 'idle' })).toMatchObject({
    visibility: 'shared',
    status: 'idle',
  });
  expect((await listAgents(bus)).find(agent => agent.id === id)?.task).toBeUndefined();
  await unregisterAgent(bus, { agent: id, owner: 'me', host: 'here' });
  expect((await bus.buckets.open(AGENTS).get(id)).value).toBeUndefined();
  expect(await refusal(unregisterAgent(bus, { agent: id, owner: 'me', host: 'here' }))).toMatchObject({
    code: 'not_found',
  });
});
