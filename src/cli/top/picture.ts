// What `orch top` shows, as data, and how updates change it. Nothing here knows a terminal or a server.
import type { ClusterStatus } from '../../cluster/index.ts';
import { isActive, type TaskRecord } from '../../protocol/index.ts';
import type { JournalLine, TaskLine } from '../../tasks/index.ts';

/** More than a screen holds, and little to keep. */
export const EVENTS_MAX = 200;

export const PANES = ['nodes', 'lanes', 'tasks', 'events'] as const;
export type Pane = (typeof PANES)[number];

/** What can be opened and acted on. The id of a lane is the name of its consumer. */
export interface Target {
  kind: 'task' | 'node' | 'lane';
  id: string;
}

/** The selected row of a list: its key, and its position for when the row is gone. */
export interface Cursor {
  key: string;
  index: number;
}

/** What was opened. */
export interface Page extends Target {
  cursor: Cursor | undefined;
  /** Lines of output between the last one shown and the end. */
  back: number;
}

/** What a key does to the cluster. */
export type Act = { verb: 'cancel'; task: string } | { verb: 'drain' | 'pause' | 'resume'; node: string };

export interface EventLine {
  key: string;
  at: string;
  who: string;
  what: string;
  why: string;
  /** The task or node of the event, where it can be opened. */
  target: Target | undefined;
}

export interface PrintedLine {
  attempt: number;
  text: string;
}

/** What was read for the open page, beyond the status. */
export type Found =
  | { kind: 'task'; id: string; record: TaskRecord; history: JournalLine[]; output: PrintedLine[] }
  | { kind: 'lane'; id: string; tasks: TaskLine[]; total: number }
  | { kind: 'missing'; id: string; why: string };

export interface Notice {
  text: string;
  isError: boolean;
}

export interface Picture {
  columns: number;
  rows: number;
  status: ClusterStatus | undefined;
  /** Those that are claimed, started or blocked. */
  tasks: readonly TaskLine[];
  /** By task: the last line that it printed. */
  lastLines: ReadonlyMap<string, string>;
  /** Oldest first. */
  events: readonly EventLine[];
  /** Why the picture is out of date. */
  trouble: string | undefined;
  focus: Pane;
  cursors: Readonly<Record<Pane, Cursor | undefined>>;
  /** What is open, the last one on top. */
  pages: readonly Page[];
  found: Found | undefined;
  asking: { question: string; act: Act } | undefined;
  notice: Notice | undefined;
  isHelp: boolean;
}

/** A change, from the cluster or the terminal. */
export type Update =
  | { type: 'status'; status: ClusterStatus }
  | { type: 'tasks'; tasks: readonly TaskLine[] }
  | { type: 'changed'; tasks: readonly TaskRecord[] }
  | { type: 'lines'; lines: ReadonlyMap<string, string> }
  | { type: 'events'; events: readonly EventLine[] }
  | { type: 'found'; found: Found }
  | { type: 'trouble'; trouble: string | undefined }
  | { type: 'notice'; notice: Notice }
  | { type: 'size'; columns: number; rows: number };

/** The picture before the first read. */
export const emptyPicture = (columns: number, rows: number): Picture => ({
  columns,
  rows,
  status: undefined,
  tasks: [],
  lastLines: new Map(),
  events: [],
  trouble: undefined,
  focus: 'tasks',
  cursors: { nodes: undefined, lanes: undefined, tasks: undefined, events: undefined },
  pages: [],
  found: undefined,
  asking: undefined,
  notice: undefined,
  isHelp: false,
});

/** Applies an update to the picture. */
export function applyUpdate(picture: Picture, update: Update): Picture {
  switch (update.type) {
    case 'status':
      return { ...picture, status: update.status };
    case 'tasks':
      return { ...picture, tasks: update.tasks };
    case 'changed':
      return { ...picture, tasks: withChanges(picture.tasks, update.tasks) };
    case 'lines':
      return { ...picture, lastLines: withLines(picture, update.lines) };
    case 'events':
      return { ...picture, events: [...picture.events, ...update.events].slice(-EVENTS_MAX) };
    case 'found':
      return find(picture, update.found);
    case 'trouble':
      return { ...picture, trouble: update.trouble };
    case 'notice':
      return { ...picture, notice: update.notice };
    case 'size':
      return { ...picture, columns: update.columns, rows: update.rows };
  }
}

/** The page that is open on top of the panes. */
export const openPage = (picture: Picture): Page | undefined => picture.pages.at(-1);

/** Changes the open page. */
export function withPage(picture: Picture, change: Partial<Page>): Picture {
  const page = openPage(picture);
  return page ? { ...picture, pages: [...picture.pages.slice(0, -1), { ...page, ...change }] } : picture;
}

/** What was read for the open page. */
export function foundOf(picture: Picture): Found | undefined {
  const { found } = picture;
  return found?.id === openPage(picture)?.id ? found : undefined;
}

function find(picture: Picture, found: Found): Picture {
  const page = openPage(picture);
  // The page was closed while it was being read.
  if (found.id !== page?.id) return picture;
  const before = foundOf(picture);
  const next = { ...picture, found };
  if (found.kind !== 'task' || before?.kind !== 'task' || page.back === 0) return next;
  // A reader who scrolled back keeps the place while more output comes.
  const last = before.output.at(-1);
  const at = last ? found.output.lastIndexOf(last) : -1;
  return at < 0 ? next : withPage(next, { back: page.back + found.output.length - 1 - at });
}

// Keeps the lines of running tasks that are out of view, to show them at once when they come back into view.
function withLines({ tasks, lastLines }: Picture, lines: ReadonlyMap<string, string>): Map<string, string> {
  const kept = tasks.flatMap(({ id }) => {
    const line = lines.get(id) ?? lastLines.get(id);
    return line === undefined ? [] : [[id, line] as const];
  });
  return new Map(kept);
}

// Adds tasks that became active and removes those that no longer are; oldest first, like the list.
function withChanges(tasks: readonly TaskLine[], changed: readonly TaskRecord[]): readonly TaskLine[] {
  if (changed.length === 0) return tasks;
  const byId = new Map(tasks.map(task => [task.id, task]));
  for (const task of changed) {
    if (isActive(task.state)) byId.set(task.id, task);
    else byId.delete(task.id);
  }
  return [...byId.values()].sort(
    (a, b) => Date.parse(a.createdAt ?? '0') - Date.parse(b.createdAt ?? '0') || a.id.localeCompare(b.id),
  );
}
