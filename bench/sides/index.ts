// The sides by name. Peers are loaded only when asked for, from bench/peers with its own packages.
import type { SideName } from '../settings.ts';
import { bare } from './bare.ts';
import { floor } from './floor.ts';
import { type OrchLibrary, orchSide } from './orch.ts';
import { Absent, type Side } from './side.ts';

export { BARE_TASKS, provisionBare } from './bare.ts';
export { type OrchLibrary, openOrchWorker, orchFinals, orchSide, provisionOrch } from './orch.ts';
export * from './side.ts';

const PEER_MODULES: Partial<Record<SideName, string>> = {
  bullmq: 'bullmq',
  'graphile-worker': 'graphile',
  'graphile-local': 'graphile',
  'pg-boss': 'pg-boss',
};

/** Loads a side. Throws Absent when its packages are not installed. */
export async function loadSide(name: SideName, library: OrchLibrary): Promise<Side> {
  if (name === 'orch') return orchSide(library);
  if (name === 'bare') return bare;
  if (name === 'floor') return floor;
  try {
    const { sides } = (await import(
      new URL(`../peers/out/${PEER_MODULES[name]}.js`, import.meta.url).href
    )) as {
      sides: Partial<Record<SideName, Side>>;
    };
    const side = sides[name];
    if (side) return side;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
  }
  throw new Absent(`${name} is not installed: npm ci --prefix bench/peers`);
}
