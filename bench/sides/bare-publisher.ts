// How the bare side publishes. A file of its own, so that the cold script of the cli scenario loads nothing else.
import { randomUUID } from 'node:crypto';
import { LANE, type Payload } from './side.ts';
import type { Writes } from './writes.ts';

/** Writes the queue message and the `queued` entry side by side, each refused if the id is known. */
export async function publishBare(writes: Writes, input: Payload | string, lane = LANE): Promise<string> {
  const id = randomUUID();
  const entry = JSON.stringify({ id, type: 'queued', at: new Date().toISOString(), actor: 'bench' });
  await Promise.all([
    // One token more than the other entries, so that a claim expects nothing and needs no read.
    writes.write(`bare.journal.${id}.queued.bench.${lane}`, entry, {
      last: 0,
      filter: `bare.journal.${id}.>`,
    }),
    writes.write(`bare.tasks.medium.${lane}.${id}`, JSON.stringify(input), {
      last: 0,
      filter: `bare.tasks.*.*.${id}`,
    }),
  ]);
  return id;
}
