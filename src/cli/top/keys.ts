// What the keys do: each changes the picture, and some also act on the cluster.
import { activeCursor, activeList, select, selectedIndex, targetOf } from './lists.ts';
import { type Act, foundOf, openPage, PANES, type Picture, withPage } from './picture.ts';

/** Rows that page up and page down move by. */
const PAGE_STEP = 10;

/**
 * A letter as it is typed, or one of `up`, `down`, `page-up`, `page-down`, `home`, `end`, `tab`, `back-tab`, `enter`,
 * `escape`, `ctrl-c`.
 */
export type Key = string;

export interface Pressed {
  picture: Picture;
  act?: Act | 'quit';
}

/** All keys, for the help page. */
export const KEYS: readonly (readonly [key: string, does: string])[] = [
  ['up k, down j', 'move; page up and down too; g and G go to the ends'],
  ['tab, shift-tab', 'go to the next or the previous pane'],
  ['enter', 'open the selected task, node or lane, or that of an event'],
  ['esc', 'go back'],
  ['c', 'cancel the selected or open task; asks first'],
  ['d', 'drain the selected or open node; asks first'],
  ['p, r', 'pause or resume the node'],
  ['?', 'show this help'],
  ['q, ctrl-c', 'quit'],
];

/** Returns the picture after a key, and the act that the key asks for. */
export function press(picture: Picture, key: Key): Pressed {
  if (key === 'ctrl-c') return { picture, act: 'quit' };
  if (picture.asking) return answer(picture, picture.asking.act, key);
  if (picture.isHelp) return { picture: { ...picture, isHelp: false } };
  // The next key takes a notice away.
  const seen = { ...picture, notice: undefined };
  switch (key) {
    case 'q':
      return { picture: seen, act: 'quit' };
    case '?':
      return { picture: { ...seen, isHelp: true } };
    case 'up':
    case 'k':
      return { picture: move(seen, -1) };
    case 'down':
    case 'j':
      return { picture: move(seen, 1) };
    case 'page-up':
      return { picture: move(seen, -PAGE_STEP) };
    case 'page-down':
      return { picture: move(seen, PAGE_STEP) };
    case 'home':
    case 'g':
      return { picture: move(seen, Number.NEGATIVE_INFINITY) };
    case 'end':
    case 'G':
      return { picture: move(seen, Number.POSITIVE_INFINITY) };
    case 'tab':
      return { picture: nextPane(seen, 1) };
    case 'back-tab':
      return { picture: nextPane(seen, -1) };
    case 'enter':
      return { picture: open(seen) };
    case 'escape':
      return { picture: { ...seen, pages: seen.pages.slice(0, -1) } };
    case 'c':
      return cancel(seen);
    case 'd':
      return request(seen, 'drain');
    case 'p':
      return request(seen, 'pause');
    case 'r':
      return request(seen, 'resume');
    default:
      return { picture: seen };
  }
}

function answer(picture: Picture, act: Act, key: Key): Pressed {
  const settled = { ...picture, asking: undefined };
  if (key === 'y') return { picture: settled, act };
  // Any other key leaves the question open.
  return { picture: key === 'n' || key === 'escape' ? settled : picture };
}

function move(picture: Picture, by: number): Picture {
  const list = activeList(picture);
  if (list) return select(picture, list, selectedIndex(list, activeCursor(picture)) + by);
  const [page, found] = [openPage(picture), foundOf(picture)];
  const lines = found?.kind === 'task' ? found.output.length : 0;
  const back = Math.max(0, Math.min((page?.back ?? 0) - by, lines - 1));
  return withPage(picture, { back });
}

function nextPane(picture: Picture, by: number): Picture {
  if (openPage(picture)) return picture;
  const at = PANES.indexOf(picture.focus) + by + PANES.length;
  return { ...picture, focus: PANES[at % PANES.length] ?? picture.focus };
}

function open(picture: Picture): Picture {
  const target = targetOf(picture);
  const page = openPage(picture);
  if (!target || (page?.kind === target.kind && page.id === target.id)) return picture;
  return { ...picture, pages: [...picture.pages, { ...target, cursor: undefined, back: 0 }] };
}

function cancel(picture: Picture): Pressed {
  const task = targetOf(picture, 'task')?.id;
  if (task === undefined) return { picture: hint(picture, 'task') };
  return {
    picture: { ...picture, asking: { question: `cancel task ${task}?`, act: { verb: 'cancel', task } } },
  };
}

function request(picture: Picture, verb: 'drain' | 'pause' | 'resume'): Pressed {
  const node = targetOf(picture, 'node')?.id;
  if (node === undefined) return { picture: hint(picture, 'node') };
  const act = { verb, node };
  // A drain can give running tasks back; the others are undone by a key.
  if (verb !== 'drain') return { picture, act };
  return { picture: { ...picture, asking: { question: `drain node ${node}?`, act } } };
}

const hint = (picture: Picture, kind: 'task' | 'node'): Picture => ({
  ...picture,
  notice: { text: `select a ${kind} first: tab goes from pane to pane`, isError: false },
});
