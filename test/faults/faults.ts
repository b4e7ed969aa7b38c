// What each fault of the schedule does to the world, and how it heals.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Drive } from './drive.ts';
import { JournalReader } from './journal.ts';
import type { Deletable, Fault } from './schedule.ts';
import type { World } from './world.ts';

/** A server whose disk was full has its room back for so long before it is restarted. */
const AFTER_FULL_MS = 500;

/** A fault that cannot be done here, and why. */
export class Skipped extends Error {}

/** Does one fault and heals it; returns when it is healed. Throws `Skipped`. */
export async function perform(fault: Fault, world: World, drive: Drive): Promise<void> {
  const { kind, target, forMs, detail } = fault;
  const only = typeof detail['only'] === 'number' ? detail['only'] : undefined;
  const links = world.links(target, only);
  const heal = () => {
    for (const link of links) link.heal();
  };
  switch (kind) {
    case 'worker-kill':
      needsRunning(world, target);
      await world.killWorker(target);
      await sleep(forMs);
      return world.startWorker(target);
    case 'worker-term':
    case 'worker-term-twice':
      needsRunning(world, target);
      await world.stopWorker(target, { isTwice: kind === 'worker-term-twice' });
      await sleep(forMs);
      return world.startWorker(target);
    case 'worker-pause-short':
    case 'worker-pause-long': {
      needsRunning(world, target);
      const goOn = world.pauseWorker(target);
      await sleep(forMs);
      return goOn();
    }
    case 'clock-step':
      world.setClock(target, Number(detail['byMs']));
      await sleep(forMs);
      return world.setClock(target, 0);
    case 'link-cut':
    case 'link-half-open':
      for (const link of links)
        if (kind === 'link-cut') link.cut();
        else link.cut(detail['towards'] === 'server' ? 'server' : 'client');
      await sleep(forMs);
      if (detail['thenReset']) for (const link of links) link.reset();
      return heal();
    case 'link-refused':
      for (const link of links) link.refuse();
      await sleep(forMs);
      return heal();
    case 'link-slow':
      for (const link of links) link.delay(Number(detail['byMs']));
      await sleep(forMs);
      return heal();
    case 'publisher-kill':
      return drive.publisher(target)?.kill();
    case 'server-kill':
    case 'server-term':
      await world.servers.end(target, kind === 'server-kill' ? 'SIGKILL' : 'SIGTERM');
      await sleep(forMs);
      return world.servers.begin(target);
    case 'server-kill-two':
      return killTwo(fault, world);
    case 'disk-full':
      if (world.servers.noDisk !== undefined) throw new Skipped(world.servers.noDisk);
      world.servers.fill(target);
      await sleep(forMs);
      world.servers.free(target);
      await sleep(AFTER_FULL_MS);
      // Its operator does that: a server that met a full disk may answer nothing until then.
      await world.servers.end(target, 'SIGTERM');
      return world.servers.begin(target);
    case 'delete':
      return deleteFrom(world, target as Deletable, Number(detail['which']));
  }
}

// The second is killed while the first may still be away: each is away for half of the time, and less than half of it
// both.
async function killTwo({ target, forMs, detail }: Fault, { servers }: World): Promise<void> {
  const { names } = servers;
  const other = names[(names.indexOf(target) + Number(detail['other'])) % names.length] ?? target;
  const away = async (name: string) => {
    await servers.end(name, 'SIGKILL');
    await sleep(forMs / 2);
    await servers.begin(name);
  };
  const first = away(target);
  await sleep(Number(detail['gapMs']));
  await Promise.all([first, away(other)]);
}

async function deleteFrom(world: World, what: Deletable, which: number): Promise<void> {
  const reader = await JournalReader.open(world.servers.urls);
  try {
    await reader.delete(what, which);
  } catch (error) {
    throw new Skipped((error as Error).message);
  } finally {
    await reader.close();
  }
}

function needsRunning(world: World, id: string): void {
  if (!world.isWorkerRunning(id)) throw new Skipped(`${id} does not run now`);
}
