// Nodes for tests: daemons in this process that beat often and expire soon, on connections of their own.
import type { Bus } from '../../src/bus/index.ts';
import { Daemon, type DaemonOptions, type Handler, handlerRunner } from '../../src/daemon/index.ts';
import { type NodeLine, readNodeEntry } from '../../src/nodes/index.ts';
import { JOURNAL, type OrchError } from '../../src/protocol/index.ts';
import type { TestNats } from './nats.ts';

let names = 0;

/** A name that no other test of the file has. */
export const unique = (prefix: string): string => `${prefix}-${++names}`;

export type NodeSettings = Omit<DaemonOptions, 'runner'> &
  ({ handler: Handler } | { runner: DaemonOptions['runner'] });

/** Starts a node; returns when it is ready for tasks. */
export async function startDaemon(bus: Bus, settings: NodeSettings): Promise<Daemon> {
  const runner = 'handler' in settings ? handlerRunner(settings.handler) : settings.runner;
  const daemon = new Daemon(bus, { ...settings, runner });
  await daemon.start();
  return daemon;
}

/** A node on a connection of its own, stopped when it is disposed. */
export async function startNode(
  nats: TestNats,
  options: Partial<DaemonOptions> = {},
): Promise<Daemon & AsyncDisposable> {
  const started = await startDaemon(await nats.bus(), {
    node: unique('n'),
    heartbeatMs: 300,
    expiryMs: 1_000,
    handler: () => 'ok',
    ...options,
  });
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.stop(0) });
}

/** All entries about a node, oldest first; fails on one that cannot be read. */
export async function entriesOf(bus: Bus, node: string): Promise<NodeLine[]> {
  const lines: NodeLine[] = [];
  for await (const stored of bus.streams.range(JOURNAL, { filter: `journal.node.${node}.>` })) {
    const line = readNodeEntry(stored);
    if (!line) throw new Error(`unreadable ${stored.subject}`);
    lines.push(line);
  }
  return lines;
}

/** The types of all entries about a node, oldest first. */
export const typesOf = async (bus: Bus, node: string): Promise<string[]> =>
  (await entriesOf(bus, node)).map(({ type }) => type);

/** What a promise is rejected with; undefined when it is not. */
export const refusal = (promise: Promise<unknown>): Promise<OrchError | undefined> =>
  promise.then(
    () => undefined,
    (error: unknown) => error as OrchError,
  );
