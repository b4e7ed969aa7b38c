// Takes tasks that ended well or were cancelled a day ago off the board, so that lists stay short; the journal keeps
// them. Dead letters stay: a person has to look at them.
import { trimBoard } from '../../tasks/index.ts';
import type { Chore } from './janitor.ts';

const ROUND_MAX = 2_000;
export const BOARD_KEEP_MS = 86_400_000;

export const oldBoard = (keepMs = BOARD_KEEP_MS): Chore => ({
  name: 'old-board',
  everyMs: Math.min(600_000, keepMs),
  begin: ({ bus, tenure }) => ({
    round: () =>
      trimBoard(bus, {
        before: new Date(Date.now() - keepMs),
        max: ROUND_MAX,
        signal: tenure.signal,
        check: () => tenure.check(),
      }),
  }),
});
