// What one node does for all.
export { type Chore, type ChoreContext, Janitor } from './janitor.ts';

import { foreignLanes } from './foreign-lanes.ts';
import { giveBack } from './give-back.ts';
import type { Chore } from './janitor.ts';
import { lostNodes } from './lost-nodes.ts';
import { missingMessages } from './missing-messages.ts';
import { oldBoard } from './old-board.ts';
import { unservable } from './unservable.ts';

export const allChores = (): Chore[] => [
  lostNodes,
  giveBack,
  foreignLanes,
  missingMessages(),
  unservable,
  oldBoard(),
];
export { foreignLanes, giveBack, lostNodes, missingMessages, oldBoard, unservable };
