// Nodes, lanes, tasks and events as rows of cells, and which row of a list is selected.
import type { LaneStatus } from '../../cluster/index.ts';
import type { NodeView } from '../../nodes/index.ts';
import { isWaiting, PRIORITIES } from '../../protocol/index.ts';
import type { TaskLine } from '../../tasks/index.ts';
import { nodeRow } from '../node-rows.ts';
import { age, colors, stateText } from '../print.ts';
import {
  type Cursor,
  type EventLine,
  foundOf,
  openPage,
  type Page,
  type Pane,
  type Picture,
  type Target,
  withPage,
} from './picture.ts';
import { oneLine } from './text.ts';

export interface Column {
  title: string;
  /** In columns of the terminal; the last one of a list has what is left. */
  width: number;
}

export interface Row {
  key: string;
  target: Target | undefined;
  /** Only asked of the rows in view. */
  cells(): string[];
}

export interface List {
  columns: readonly Column[];
  rows: readonly Row[];
  /** The text in place of rows when there are none. */
  empty: string;
  /** Whether its end is in view while nothing is selected. */
  isTail: boolean;
}

/** One pane as a list. */
export function paneList(picture: Picture, pane: Pane): List {
  switch (pane) {
    case 'nodes':
      return nodeList(picture);
    case 'lanes':
      return laneList(picture);
    case 'tasks':
      return taskList(picture, picture.tasks, 'no running tasks');
    case 'events':
      return eventList(picture);
  }
}

/** The tasks on a node's or a lane's page; a task's page has none. */
export function pageList(picture: Picture, page: Page): List | undefined {
  if (page.kind === 'node')
    return taskList(
      picture,
      picture.tasks.filter(({ node }) => node === page.id),
      'no running tasks',
    );
  const found = foundOf(picture);
  if (page.kind === 'lane')
    return taskList(
      picture,
      found?.kind === 'lane' ? found.tasks : [],
      found ? 'no waiting tasks' : 'reading ...',
    );
  return undefined;
}

/** The list that the arrow keys move in. */
export function activeList(picture: Picture): List | undefined {
  const page = openPage(picture);
  return page ? pageList(picture, page) : paneList(picture, picture.focus);
}

/** The index of the selected row. When its row is gone, the selection keeps its position. */
export function selectedIndex({ rows, isTail }: List, cursor: Cursor | undefined): number {
  if (!cursor) return isTail ? Math.max(0, rows.length - 1) : 0;
  const found = rows.findIndex(({ key }) => key === cursor.key);
  return found >= 0 ? found : Math.max(0, Math.min(cursor.index, rows.length - 1));
}

/** The cursor of the list that the arrow keys move in. */
export function activeCursor(picture: Picture): Cursor | undefined {
  const page = openPage(picture);
  return page ? page.cursor : picture.cursors[picture.focus];
}

/** Selects another row of that list: the nearest to `index`. */
export function select(picture: Picture, list: List, index: number): Picture {
  const at = Math.max(0, Math.min(index, list.rows.length - 1));
  const row = list.rows[at];
  if (!row) return picture;
  // On the last row of a tail, the selection follows new rows.
  const cursor = list.isTail && at === list.rows.length - 1 ? undefined : { key: row.key, index: at };
  if (openPage(picture)) return withPage(picture, { cursor });
  return { ...picture, cursors: { ...picture.cursors, [picture.focus]: cursor } };
}

/** What a key acts on: the target of the selected row, else of the open page, if it is of that kind. */
export function targetOf(picture: Picture, kind?: Target['kind']): Target | undefined {
  const list = activeList(picture);
  const selected = list?.rows[selectedIndex(list, activeCursor(picture))]?.target;
  return [selected, openPage(picture)].find(target => target && (!kind || target.kind === kind));
}

function nodeList(picture: Picture): List {
  const nodes = picture.status?.nodes ?? [];
  const isWide = picture.columns >= 110;
  return {
    columns: [
      idColumn(
        picture,
        'NODE',
        nodes.map(({ id }) => id),
      ),
      { title: 'STATE', width: 12 },
      { title: 'RUN', width: 7 },
      { title: 'CPU', width: 4 },
      { title: 'MEM', width: 4 },
      { title: 'SEEN', width: 5 },
      ...(isWide ? [{ title: 'HOST', width: 20 }] : []),
      { title: 'CAPABILITIES', width: 0 },
    ],
    rows: nodes.map(view => ({
      key: view.id,
      target: { kind: 'node', id: view.id },
      cells: () => nodeCells(view, isWide),
    })),
    empty: picture.status ? 'none: start one with `orch worker`' : '',
    isTail: false,
  };
}

function nodeCells(view: NodeView, isWide: boolean): string[] {
  const [id = '', state = '', running = '', cpu = '', memory = '', seen = ''] = nodeRow(view);
  const { host = '-', capabilities = [] } = view.record ?? {};
  const can = oneLine(capabilities.join(',')) || '-';
  return [oneLine(id), state, running, cpu, memory, seen, ...(isWide ? [oneLine(host)] : []), can];
}

function laneList(picture: Picture): List {
  const lanes = [...(picture.status?.lanes ?? [])].sort(
    (a, b) => a.lane.localeCompare(b.lane) || PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority),
  );
  return {
    columns: [
      idColumn(
        picture,
        'LANE',
        lanes.map(({ lane }) => lane),
      ),
      { title: 'PRIORITY', width: 12 },
      { title: 'WAITING', width: 7 },
      { title: 'FLIGHT', width: 6 },
      { title: 'OLDEST', width: 6 },
      { title: 'IDLE', width: 5 },
      { title: '', width: 0 },
    ],
    rows: lanes.map(lane => ({
      key: lane.consumer,
      target: { kind: 'lane', id: lane.consumer },
      cells: () => laneCells(lane),
    })),
    empty: picture.status ? 'none: the first task of a lane creates it' : '',
    isTail: false,
  };
}

function laneCells({ lane, priority, waiting, inFlight, oldestMs, idleWorkers, isServed }: LaneStatus) {
  return [
    oneLine(lane),
    priority,
    waiting > 0 && !isServed ? colors.yellow(String(waiting)) : String(waiting),
    String(inFlight),
    oldestMs === null ? '-' : age(new Date(Date.now() - oldestMs).toISOString()),
    String(idleWorkers),
    isServed ? '' : colors.yellow('no node serves it'),
  ];
}

function taskList(picture: Picture, tasks: readonly TaskLine[], empty: string): List {
  const { lastLines } = picture;
  return {
    columns: [
      idColumn(
        picture,
        'TASK',
        tasks.map(({ id }) => id),
      ),
      { title: 'STATE', width: 12 },
      { title: 'NODE', width: Math.max(7, Math.floor(picture.columns / 7)) },
      { title: 'FOR', width: 4 },
      { title: 'LAST LINE', width: 0 },
    ],
    rows: tasks.map(task => ({
      key: task.id,
      target: { kind: 'task', id: task.id },
      cells: () => taskCells(task, lastLines.get(task.id)),
    })),
    empty: picture.status ? empty : '',
    isTail: false,
  };
}

function taskCells(
  { id, state, node, attempt = 0, claimedAt, createdAt, description }: TaskLine,
  last?: string,
) {
  const waits = isWaiting(state);
  return [
    oneLine(id),
    `${stateText(state)}${attempt > 1 ? ` #${attempt}` : ''}`,
    oneLine(node ?? '-'),
    age(waits ? createdAt : claimedAt),
    last ?? colors.dim(oneLine(description ?? '')),
  ];
}

function eventList(picture: Picture): List {
  const { events } = picture;
  return {
    columns: [
      { title: 'AT', width: 9 },
      idColumn(
        picture,
        'WHO',
        events.map(({ who }) => who),
      ),
      { title: 'WHAT', width: 12 },
      { title: '', width: 0 },
    ],
    rows: events.map((event: EventLine) => ({
      key: event.key,
      target: event.target,
      cells: () => [event.at.slice(11, 19), event.who, event.what, event.why],
    })),
    empty: 'no events yet',
    isTail: true,
  };
}

// As wide as the longest name, within reason: the other columns need room too.
function idColumn({ columns }: Picture, title: string, ids: readonly string[]): Column {
  const longest = ids.reduce((width, { length }) => Math.max(width, length), 12);
  return { title, width: Math.min(longest, Math.max(12, Math.floor(columns / 4))) };
}
