// The agents that nodes own: taken, kept, passed on, and put on tasks.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAgents } from '../../src/agents/index.ts';
import type { Bus } from '../../src/bus/index.ts';
import { listAgents } from '../../src/cluster/index.ts';
import { lookAtNode } from '../../src/nodes/index.ts';
import { JOURNAL } from '../../src/protocol/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { startDaemon, startNode, typesOf, unique } from '../support/node.ts';
import { publishTask } from '../support/tasks.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

describe('agents', () => {
  const specs = (text: string) => ({ ownedAgents: parseAgents(text) });

  test('are owned while their node is there, and free the moment that it leaves', async () => {
    const [alice, bob] = [unique('alice'), unique('bob')];
    const node = await startNode(nats, specs(`${alice},${bob}:group=ops`));
    const own = (await listAgents(bus)).filter(({ owner }) => owner === node.node);
    expect(own).toMatchObject([
      { id: alice, visibility: 'isolated', status: 'idle', hasDaemon: true },
      { id: bob, visibility: 'group', group: 'ops' },
    ]);
    await node.stop();
    expect((await listAgents(bus)).filter(({ owner }) => owner === node.node)).toEqual([]);
  });

  test('that two nodes want go to the first; the second runs its others, says so once, and takes over', async () => {
    const [shared, other] = [unique('shared'), unique('other')];
    const first = await startNode(nats, specs(shared));
    await using second = await startNode(nats, specs(`${shared},${other}`));
    expect(second.agents.agents.map(({ id }) => id)).toEqual([other]);
    const conflicts = async () => {
      const subjects: string[] = [];
      for await (const { subject } of bus.streams.range(JOURNAL, {
        filter: `journal.agent.${shared}.conflict.>`,
      }))
        subjects.push(subject);
      return subjects;
    };
    const beats = second.presence.beats;
    await until('a few more tries', () => second.presence.beats > beats + 3);
    expect(await conflicts()).toEqual([`journal.agent.${shared}.conflict.${second.node}`]);
    await first.stop();
    await until('the take-over', () => second.agents.owns(shared));
    expect((await listAgents(bus)).find(({ id }) => id === shared)?.owner).toBe(second.node);
  });

  test('pass to the other side of a split, and are given up before by the one that is cut off', async () => {
    const agent = unique('split');
    const link = await Link.to(nats.url);
    const first = await startDaemon(await nats.bus({ servers: [link.url] }), {
      node: unique('n'),
      heartbeatMs: 300,
      expiryMs: 2_000,
      handler: () => 'ok',
      ...specs(agent),
    });
    await using second = await startNode(nats, { ...specs(agent), expiryMs: 2_000 });
    const history: string[] = [];
    const look = () => {
      const owners = [first.agents.owns(agent) && 'first', second.agents.owns(agent) && 'second'];
      const now = owners.filter(Boolean).join('+');
      if (history.at(-1) !== now) history.push(now);
      return now;
    };
    expect(look()).toBe('first');
    link.cut();
    await until('the other side to own it', () => look() === 'second');
    // Never both, and for a moment neither.
    expect(history).toEqual(['first', '', 'second']);
    link.heal();
    await until('the first to be back', async () => {
      look();
      return (await lookAtNode(bus, first.node)).presence === 'live';
    });
    await until('the first to say that it waits', async () => {
      look();
      return (await lookAtNode(bus, first.node)).record?.waitingAgents.includes(agent);
    });
    expect(history).toEqual(['first', '', 'second']);
    expect((await typesOf(bus, first.node)).at(0)).toBe('online');
    await first.stop(0);
    await link[Symbol.asyncDispose]();
  });

  test('are put on tasks, and show what they do and how it ended', async () => {
    const [agent, cap] = [unique('worker'), unique('cap')];
    const seen: unknown[] = [];
    let open = () => {};
    const handler = async (task: { id: string; input: unknown }, context: { agent?: string }) => {
      seen.push(context.agent);
      if (task.input === 'wait') {
        await new Promise<void>(resolve => {
          open = resolve;
        });
      }
      if (task.input === 'fail') throw new Error('no');
    };
    await using _ = await startNode(nats, { ...specs(agent), capabilities: [cap], handler } as never);
    const status = async () => (await listAgents(bus)).find(({ id }) => id === agent);
    const { id } = await publishTask(bus, { capabilities: [cap], input: 'wait' });
    await until('it to work', async () => (await status())?.status === 'working');
    expect((await status())?.task).toBe(id);
    open();
    await until('it to be done', async () => (await status())?.status === 'done');
    await publishTask(bus, { capabilities: [cap], input: 'fail', maxAttempts: 1 });
    await until('it to be in error', async () => (await status())?.status === 'error');
    expect(seen).toEqual([agent, agent]);
  });
});
