// Which rows are on the screen. The renderer draws them, and the feed reads the last lines of their tasks.
import type { TaskLine } from '../../tasks/index.ts';
import { factLines } from './facts.ts';
import { firstInView, paneRows } from './layout.ts';
import { type List, pageList, paneList, selectedIndex } from './lists.ts';
import { type Cursor, foundOf, openPage, PANES, type Page, type Pane, type Picture } from './picture.ts';

/** Two lines at the top, one at the bottom. */
const BARS_ROWS = 3;

/** A list, and the part of it that is in view. */
export interface ListView {
  list: List;
  /** Rows on the screen, without the title. */
  height: number;
  first: number;
  selected: number;
}

export interface PaneView extends ListView {
  pane: Pane;
}

/** The panes that fit. */
export function panesInView(picture: Picture): PaneView[] {
  const lists = PANES.map(pane => ({ pane, list: paneList(picture, pane) }));
  const wanted = Object.fromEntries(
    lists.map(({ pane, list }) => [
      pane,
      pane === 'events' ? picture.rows : 1 + Math.max(1, list.rows.length),
    ]),
  ) as Record<Pane, number>;
  const heights = paneRows(bodyRows(picture), wanted, picture.focus);
  return lists.flatMap(({ pane, list }) =>
    heights[pane] > 0 ? [{ pane, ...listInView(list, heights[pane] - 1, picture.cursors[pane]) }] : [],
  );
}

export interface PageView {
  facts: string[];
  /** Of a node or a lane. */
  tasks: ListView | undefined;
  /** Of a task: the lines of its output that are in view. */
  output: string[];
}

/** The open page. Where there is little room, its facts are cut before its list or output. */
export function pageInView(picture: Picture, page: Page): PageView {
  const list = pageList(picture, page);
  // One line is the title; at least two below the facts are the title and a row of the list.
  const rows = bodyRows(picture) - 1;
  const facts = factLines(picture, page).slice(0, Math.max(0, rows - 2));
  const height = Math.max(0, rows - facts.length - 1);
  return {
    facts,
    tasks: list && listInView(list, height, page.cursor),
    output: list ? [] : outputInView(picture, page, height),
  };
}

/** The tasks whose last line is on the screen. */
export function shownTasks(picture: Picture): TaskLine[] {
  const page = openPage(picture);
  const views = page ? [pageInView(picture, page).tasks] : panesInView(picture);
  const ids = new Set(
    views
      .flatMap(view => (view ? rowsInView(view).flatMap(({ target }) => target ?? []) : []))
      .map(({ id }) => id),
  );
  return picture.tasks.filter(({ id }) => ids.has(id));
}

/** The rows of a list that are on the screen. */
export const rowsInView = ({ list, first, height }: ListView) => list.rows.slice(first, first + height);

const bodyRows = ({ rows }: Picture): number => Math.max(0, rows - BARS_ROWS);

function listInView(list: List, height: number, cursor: Cursor | undefined): ListView {
  const selected = selectedIndex(list, cursor);
  return { list, height, first: firstInView(list.rows.length, selected, height), selected };
}

function outputInView(picture: Picture, page: Page, height: number): string[] {
  const found = foundOf(picture);
  if (found?.kind !== 'task') return [];
  const { output } = found;
  const end = Math.max(Math.min(height, output.length), output.length - page.back);
  return output
    .slice(Math.max(0, end - height), end)
    .map(({ attempt, text }) => (found.record.attempt > 1 ? `${attempt}| ${text}` : text));
}
