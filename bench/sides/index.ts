// The sides that a scenario compares.
import { openBare } from './bare.ts';
import { openFloor } from './floor.ts';
import { type OrchLibrary, openOrch } from './orch.ts';
import type { Side, SideName, SideOptions } from './side.ts';

export { BARE_JOURNAL, BARE_TASKS, provisionBare } from './bare.ts';
export { FLOOR_TASKS } from './floor.ts';
export type { OrchLibrary } from './orch.ts';
export { Flights, payload, type Side, type SideName } from './side.ts';

/** Opens a side; returns when its worker is ready. */
export function openSide(name: SideName, orch: OrchLibrary, options: SideOptions): Promise<Side> {
  switch (name) {
    case 'orch':
      return openOrch(orch, options);
    case 'bare':
      return openBare(options);
    case 'floor':
      return openFloor(options);
  }
}
