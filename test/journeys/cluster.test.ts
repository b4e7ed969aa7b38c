// A cluster of three servers whose streams have three copies: it loses the leader under load, and nothing else.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readStatus } from '../../src/cluster/index.ts';
import { lookAtNodes, readNodeEntry } from '../../src/nodes/index.ts';
import { isFinal, JOURNAL, TASKS } from '../../src/protocol/index.ts';
import { listTasks, newTaskId, tryReadEntry } from '../../src/tasks/index.ts';
import { NatsCluster } from '../support/cluster.ts';
import { Orch } from '../support/orch.ts';
import { publishTask } from '../support/tasks.ts';
import { until } from '../support/wait.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('a cluster with three copies', () => {
  test('loses its leader under load: every task ends once, no node is lost, and status reports which server is unreachable', async () => {
    const cluster = await NatsCluster.start();
    cleanups.push(() => cluster[Symbol.asyncDispose]());
    const bus = await cluster.bus({ timeoutMs: 10_000 });
    const orch = new Orch(cluster.servers.join(','));
    cleanups.push(() => orch[Symbol.dispose]());
    const handler = join(orch.home, 'handler.mjs');
    writeFileSync(handler, 'export const handler = () => new Promise(resolve => setTimeout(resolve, 20));\n');
    await until('the cluster to be one', () =>
      bus.streams.provision().then(
        () => true,
        () => false,
      ),
    );
    for (const node of ['a', 'b']) {
      const words = [
        'worker',
        '--node',
        node,
        '--replicas',
        '3',
        '--handler',
        handler,
        '--concurrency',
        '10',
      ];
      await orch.start(words).ready();
    }
    expect((await bus.streams.inspect()).map(({ replicas }) => replicas)).toEqual(
      (await bus.streams.inspect()).map(() => 3),
    );

    const acknowledged: string[] = [];
    let longestGapMs = 0;
    const publishing = (async () => {
      for (let i = 0; i < 400; i++) {
        const id = newTaskId();
        const began = performance.now();
        await until('the publish', () => publishTask(bus, { id }).catch(() => undefined), 60_000);
        longestGapMs = Math.max(longestGapMs, performance.now() - began);
        acknowledged.push(id);
      }
    })();
    await until('some to be published', () => acknowledged.length > 100);
    const leader = await cluster.leaderOf(bus, TASKS);
    await cluster.kill(leader);
    const degraded = await until(
      'status to report that a server is unreachable',
      async () => {
        const status = await readStatus(bus).catch(() => undefined);
        return status?.degraded.find(({ subject, id }) => subject === 'server' && id === leader);
      },
      60_000,
    );
    expect(degraded.message).toContain('unreachable');
    await publishing;
    await cluster.restart(leader);
    await until(
      'all to have ended',
      async () => {
        const tasks = await listTasks(bus).catch(() => []);
        return acknowledged.every(id => tasks.some(task => task.id === id && isFinal(task.state)));
      },
      90_000,
    );
    const finals = new Map<string, number>();
    for await (const stored of bus.streams.range(JOURNAL, { filter: 'journal.task.>' })) {
      const line = tryReadEntry(stored);
      if (line && isFinal(line.task.state)) finals.set(line.task.id, (finals.get(line.task.id) ?? 0) + 1);
    }
    expect(acknowledged.filter(id => finals.get(id) !== 1)).toEqual([]);
    console.log(`longest publish while the leader was lost: ${Math.round(longestGapMs)} ms`);

    const said: string[] = [];
    for await (const stored of bus.streams.range(JOURNAL, { filter: 'journal.node.>' }))
      said.push(readNodeEntry(stored)?.type ?? '');
    expect(said).toEqual(['online', 'online']);
    expect((await lookAtNodes(bus)).map(({ presence }) => presence)).toEqual(['live', 'live']);
    await until(
      'all servers to be back',
      async () => {
        const status = await readStatus(bus).catch(() => undefined);
        return status && status.servers.length === 3 && status.degraded.length === 0;
      },
      60_000,
    );
  }, 180_000);
});
