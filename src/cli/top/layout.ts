// How panes share the screen: the rows of each, and the part of a long list that is in view.
import { PANES, type Pane } from './picture.ts';

/** A title and one row; fewer would be of no use. */
const PANE_ROWS_MIN = 2;

/**
 * Rows of each pane, including its title. Each gets what it wants while there is room. With little room the focused
 * pane comes first, and a pane that cannot show a row is left out.
 */
export function paneRows(
  rows: number,
  wanted: Readonly<Record<Pane, number>>,
  focus: Pane,
): Record<Pane, number> {
  const order = [focus, ...PANES.filter(pane => pane !== focus)];
  const heights: Record<Pane, number> = { nodes: 0, lanes: 0, tasks: 0, events: 0 };
  let left = Math.max(0, rows);
  for (const pane of order) {
    if (left < PANE_ROWS_MIN) break;
    heights[pane] = PANE_ROWS_MIN;
    left -= PANE_ROWS_MIN;
  }
  // A row to each in turn: no pane grows large while another is cut.
  while (left > 0) {
    const short = order.filter(pane => heights[pane] > 0 && heights[pane] < wanted[pane]);
    if (short.length === 0) break;
    for (const pane of short.slice(0, left)) {
      heights[pane]++;
      left--;
    }
  }
  return heights;
}

/** Index of the first row in view of a list, so that the selected one is in view, in the middle where it can be. */
export function firstInView(count: number, selected: number, height: number): number {
  return Math.max(0, Math.min(selected - Math.floor(height / 2), count - height));
}
