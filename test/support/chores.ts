// Janitors for tests of the chores, and the records of nodes that they judge.
import { onTestFinished } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { Janitor } from '../../src/daemon/chores/index.ts';
import { type Chore, silent } from '../../src/daemon/index.ts';
import { NodeRecord } from '../../src/protocol/index.ts';

/** A janitor that does some chores every 100 ms, until the test ends. */
export function startJanitor(bus: Bus, chores: readonly Chore[], node = 'janitor'): Janitor {
  const started = new Janitor(bus, {
    holder: { node, incarnation: node },
    chores: chores.map(chore => ({ ...chore, everyMs: 100 })),
    logger: silent,
    healthyForMs: () => Number.POSITIVE_INFINITY,
    leaseTtlMs: 2_000,
  });
  started.start();
  onTestFinished(() => started.stop());
  return started;
}

/** What a chore has done, as its janitor counts it. */
export const doneOf = (of: Janitor, chore: Chore) => of.counts.get(chore.name)?.done ?? 0;

/** The rounds of a chore. */
export const roundsOf = (of: Janitor, chore: Chore) => of.counts.get(chore.name)?.rounds ?? 0;

/** The record of a node that is given up after a second of silence. */
export const nodeRecord = (id: string, fields: Partial<NodeRecord> = {}): NodeRecord =>
  NodeRecord.parse({
    id,
    incarnation: `${id}-1`,
    protocol: { min: 1, max: 1 },
    startedAt: new Date().toISOString(),
    expiryMs: 1_000,
    heartbeatMs: 300,
    ...fields,
  });
