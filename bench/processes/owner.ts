// Memories in a process of their own: of agents that nodes of orch own, or of one that the least code answers for. Each
// is filled from a seed before it is asked anything. A process ends when it is killed, or when its parent is gone.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { type Memory, openMemory } from '../../src/memory/index.ts';
import { messageOf, type RecallInput } from '../../src/protocol/index.ts';
import { contentsOf, recordLine } from '../memory/records.ts';
import type { OrchLibrary } from '../sides/index.ts';

/** Filling ten thousand records takes some seconds on a slow disk; one that is not ready after this is broken. */
const READY_MS = 120_000;

/** Where the bare side answers; each side has a server of its own. */
export const BARE_RECALL = 'bare.recall';
/** Who asks: an agent that no node owns, which may read what is shared. */
export const ASKER = 'asker';

/** The command line of an owner. */
interface Orders {
  side: 'orch' | 'bare';
  url: string;
  /** Where the stores are; made if need be. */
  dir: string;
  /** The numbers of its nodes, each with one agent. */
  nodes: readonly number[];
  /** In the memory of each agent. */
  records: number;
}

export const nodeName = (node: number): string => `node-${node}`;
export const agentName = (node: number): string => `agent-${node}`;

/** What the agent of a node remembers. */
export const agentContents = (node: number, records: number): string[] => contentsOf(node + 1, records);

export interface Owner {
  /** Stops the process where it stands; its connections stay. */
  freeze(): void;
  thaw(): void;
  /** `kill -9`; returns when it is gone. */
  kill(): Promise<void>;
}

/** Starts an owner; returns when its memories are filled and answer. */
export async function startOwner(orders: Orders): Promise<Owner> {
  const child = fork(
    fileURLToPath(new URL('../processes/owner.js', import.meta.url)),
    [JSON.stringify(orders)],
    {
      execArgv: [],
    },
  );
  const gone = once(child, 'close');
  // One that is frozen does not see that its parent is gone.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const settled = new AbortController();
  const signal = AbortSignal.any([settled.signal, AbortSignal.timeout(READY_MS)]);
  try {
    await Promise.race([
      once(child, 'message', { signal }),
      gone.then(() => Promise.reject(new Error('it ended early'))),
    ]);
  } catch (error) {
    kill();
    throw new Error(`the owner of ${orders.side} was not ready: ${messageOf(error)}`);
  } finally {
    settled.abort();
  }
  return {
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    kill: async () => {
      process.off('exit', kill);
      kill();
      await gone;
    },
  };
}

/** The child's side. */
export async function runOwner(argv: readonly string[], orch: OrchLibrary): Promise<void> {
  const orders = JSON.parse(argv[0] ?? '{}') as Orders;
  // No one is left to ask.
  process.once('disconnect', () => process.exit(1));
  for (const node of orders.nodes) {
    const memory = await fill(orders, node);
    if (orders.side === 'bare') await answerBare(orders.url, memory);
    else {
      await memory.close();
      await ownAgent(orch, orders, node);
    }
  }
  process.send?.('ready');
}

async function fill({ dir, records }: Orders, node: number): Promise<Memory> {
  const memory = await openMemory({
    dir: join(dir, nodeName(node)),
    agent: agentName(node),
    visibility: 'shared',
  });
  await memory.import(agentContents(node, records).map((content, index) => recordLine(index, content)));
  return memory;
}

// A node as `orch up` has it, on a connection of its own.
async function ownAgent(orch: OrchLibrary, { url, dir }: Orders, node: number): Promise<void> {
  const connection = await orch.connect({ servers: [url] });
  await connection.runWorker({
    node: nodeName(node),
    agents: [{ id: agentName(node), visibility: 'shared' }],
    memory: { dir: join(dir, nodeName(node)) },
    handler: () => undefined,
  });
}

// The least code: no owner that is checked, no groups, no protocol, no errors, no service that others find.
async function answerBare(url: string, memory: Memory): Promise<void> {
  const nc = await connect({ servers: url, noAsyncTraces: true });
  nc.subscribe(BARE_RECALL, {
    callback: (_error, msg) =>
      void memory.recall(msg.json<RecallInput>()).then(reply => msg.respond(JSON.stringify(reply))),
  });
  await nc.flush();
}
