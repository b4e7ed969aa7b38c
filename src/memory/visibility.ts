// Who may read which record, as a pure function. An agent's memory is `isolated` (read by nobody but itself), `group`
// (by members of the same group too) or `shared` (by all). A record may narrow that, never widen it: an isolated agent
// stays isolated whatever its records say, and a record marked `shared` in a group's memory is still the group's.
import type { Visibility } from '../protocol/index.ts';

/** How far a record can be seen, as the index stores it: a reader reads those at or above its floor. */
export const SCOPE = { isolated: 0, group: 1, shared: 2 } as const satisfies Record<Visibility, number>;
export type Scope = (typeof SCOPE)[Visibility];

/** A record without a visibility of its own is seen as far as its agent allows. */
export const scopeOf = (visibility: Visibility | undefined): Scope => SCOPE[visibility ?? 'shared'];

/** The owner of a memory and how far it lets others see. */
export interface Policy {
  agent: string;
  visibility: Visibility;
  group?: string | undefined;
}

/** An agent that asks. */
export interface Asker {
  agent: string;
  group?: string | undefined;
}

/** The lowest scope that the asker may read, or undefined when it may read nothing of this memory. */
export function floorFor(owner: Policy, asker: Asker): Scope | undefined {
  if (asker.agent === owner.agent) return SCOPE.isolated;
  const isMate = owner.group !== undefined && owner.group === asker.group;
  switch (owner.visibility) {
    case 'isolated':
      return undefined;
    case 'group':
      // A record that says `group` says no less than its agent does.
      return isMate ? SCOPE.group : undefined;
    case 'shared':
      return isMate ? SCOPE.group : SCOPE.shared;
  }
}
