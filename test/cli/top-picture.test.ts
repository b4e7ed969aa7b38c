// What `orch top` shows and what its keys do, without a terminal or a server.
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Key, press } from '../../src/cli/top/keys.ts';
import { firstInView, paneRows } from '../../src/cli/top/layout.ts';
import { applyUpdate, emptyPicture, PANES, type Picture, type Update } from '../../src/cli/top/picture.ts';
import { Screen } from '../../src/cli/top/screen.ts';
import { oneLine, printedLine } from '../../src/cli/top/text.ts';
import { pageInView, panesInView } from '../../src/cli/top/view.ts';
import { newRecord } from '../support/record.ts';

const updated = (picture: Picture, ...updates: Update[]): Picture => updates.reduce(applyUpdate, picture);
const pressed = (picture: Picture, ...keys: Key[]): Picture =>
  keys.reduce((before, key) => press(before, key).picture, picture);

const running = (...ids: string[]): Update => ({
  type: 'tasks',
  tasks: ids.map(id => newRecord({ id, state: 'claimed', attempt: 1, node: 'n1' })),
});
const happened = (from: number, count: number): Update => ({
  type: 'events',
  events: Array.from({ length: count }, (_, i) => ({
    key: String(from + i),
    at: '2026-01-31T12:00:00.000Z',
    who: `t-${from + i}`,
    what: 'done',
    why: '',
    target: undefined,
  })),
});
const printed = (id: string, texts: readonly { attempt: number; text: string }[]): Update => ({
  type: 'found',
  found: { kind: 'task', id, record: newRecord({ id }), history: [], output: [...texts] },
});

const empty = emptyPicture(80, 24);
const selected = (picture: Picture) => {
  const view = panesInView(picture).find(({ pane }) => pane === picture.focus);
  return view?.list.rows[view.selected]?.key;
};

describe('the screen is shared', () => {
  const wanted = fc.record({
    nodes: fc.integer({ min: 2, max: 500 }),
    lanes: fc.integer({ min: 2, max: 500 }),
    tasks: fc.integer({ min: 2, max: 500 }),
    events: fc.integer({ min: 2, max: 500 }),
  });

  test('so that no row is given twice, none is idle while one is wanted, and the focused pane is there', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        wanted,
        fc.constantFrom(...PANES),
        (rows, want, focus) => {
          const heights = paneRows(rows, want, focus);
          const given = PANES.reduce((sum, pane) => sum + heights[pane], 0);
          expect(given).toBeLessThanOrEqual(rows);
          for (const pane of PANES) {
            expect(heights[pane]).toBeLessThanOrEqual(want[pane]);
            expect(heights[pane]).not.toBe(1);
          }
          if (rows >= 2) expect(heights[focus]).toBeGreaterThanOrEqual(2);
          if (given < rows - 1) for (const pane of PANES) expect(heights[pane]).toBe(want[pane]);
        },
      ),
    );
  });

  test('so that the selected row is in view, and no row is wasted', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), fc.integer({ min: 1, max: 60 }), (count, at, height) => {
        const row = Math.min(at, Math.max(0, count - 1));
        const first = firstInView(count, row, height);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(row - first).toBeLessThan(height);
        expect(row - first).toBeGreaterThanOrEqual(0);
        if (count >= height) expect(first + height).toBeLessThanOrEqual(count);
      }),
    );
  });

  test('so that a page leaves a line to what it is about on a screen of any height', () => {
    const picture = pressed(updated(empty, running('a')), 'enter');
    const output = [{ attempt: 1, text: 'one' }];
    for (let rows = 6; rows < 40; rows++) {
      const page = updated(picture, { type: 'size', columns: 80, rows }, printed('a', output));
      const open = page.pages.at(-1);
      if (!open) throw new Error('nothing is open');
      const view = pageInView(page, open);
      expect(view.output).toEqual(['one']);
      expect(view.facts.length + view.output.length + 2).toBeLessThanOrEqual(rows - 3);
    }
  });
});

describe('the selection', () => {
  const three = updated(empty, running('a', 'b', 'c'));

  test('stays on its row when rows come and go, and where it stood when its row is gone', () => {
    const onB = pressed(three, 'j');
    expect(selected(onB)).toBe('b');
    expect(selected(updated(onB, running('0', 'a', 'b', 'c')))).toBe('b');
    expect(selected(updated(onB, running('a', 'c')))).toBe('c');
    expect(selected(updated(pressed(onB, 'j'), running('a', 'b')))).toBe('b');
    expect(selected(updated(onB, running()))).toBeUndefined();
  });

  test('does not leave the list', () => {
    expect(selected(pressed(three, 'k'))).toBe('a');
    expect(selected(pressed(three, 'page-down', 'down'))).toBe('c');
    expect(selected(pressed(three, 'G', 'g'))).toBe('a');
  });

  test('goes with the newest event until it is moved, and again from the end on', () => {
    const events = pressed(updated(empty, happened(0, 5)), 'tab');
    expect(selected(events)).toBe('4');
    expect(selected(updated(events, happened(5, 2)))).toBe('6');
    const moved = pressed(events, 'k');
    expect(selected(updated(moved, happened(5, 2)))).toBe('3');
    expect(selected(updated(pressed(moved, 'j'), happened(5, 2)))).toBe('6');
  });

  test('goes from pane to pane in a ring', () => {
    const panes = ['tab', 'tab', 'tab', 'tab', 'back-tab'].map(
      (_, i, keys) => pressed(empty, ...keys.slice(0, i + 1)).focus,
    );
    expect(panes).toEqual(['events', 'nodes', 'lanes', 'tasks', 'lanes']);
  });
});

describe('what is kept', () => {
  test('is the last 200 events', () => {
    const { events } = updated(empty, happened(0, 150), happened(150, 150));
    expect(events).toHaveLength(200);
    expect(events.at(0)?.key).toBe('100');
  });

  test('is the last line of a task that is out of view, while it runs', () => {
    const known = updated(empty, running('a', 'b'), { type: 'lines', lines: new Map([['a', 'hello']]) });
    const other = updated(known, { type: 'lines', lines: new Map([['b', 'there']]) });
    expect([...other.lastLines]).toEqual([
      ['a', 'hello'],
      ['b', 'there'],
    ]);
    const ended = updated(other, running('b'), { type: 'lines', lines: new Map() });
    expect([...ended.lastLines.keys()]).toEqual(['b']);
  });

  test('is each task that becomes active, oldest first, until it is no longer', () => {
    const at = (second: number) => `2026-01-31T12:00:0${second}.000Z`;
    const list = updated(
      empty,
      { type: 'tasks', tasks: [newRecord({ id: 'b', state: 'claimed', createdAt: at(2) })] },
      {
        type: 'changed',
        tasks: [
          newRecord({ id: 'c', state: 'started', createdAt: at(3) }),
          newRecord({ id: 'a', state: 'blocked', createdAt: at(1) }),
          newRecord({ id: 'd', state: 'queued', createdAt: at(4) }),
        ],
      },
    );
    expect(list.tasks.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    const ended = updated(list, { type: 'changed', tasks: [newRecord({ id: 'b', state: 'done' })] });
    expect(ended.tasks.map(({ id }) => id)).toEqual(['a', 'c']);
  });

  test('is not what was found about a page that was left', () => {
    const left = pressed(updated(empty, running('a')), 'enter', 'escape');
    expect(updated(left, printed('a', [])).found).toBeUndefined();
  });
});

describe('an open task', () => {
  const lines = Array.from({ length: 100 }, (_, i) => ({ attempt: 1, text: `line ${i}` }));
  const open = updated(pressed(updated(empty, running('a')), 'enter'), printed('a', lines.slice(0, 50)));

  test('shows the end of its output and goes on with it', () => {
    expect(shown(open).at(-1)).toBe('line 49');
    expect(shown(updated(open, printed('a', lines))).at(-1)).toBe('line 99');
  });

  test('keeps the place of who reads back in it while more comes', () => {
    const back = pressed(open, 'k', 'k', 'k');
    expect(shown(back).at(-1)).toBe('line 46');
    expect(shown(updated(back, printed('a', lines))).at(-1)).toBe('line 46');
  });

  const shown = (picture: Picture): string[] => {
    const page = picture.pages.at(-1);
    return page ? pageInView(picture, page).output : [];
  };
});

describe('a question', () => {
  const asked = pressed(updated(empty, running('a')), 'c');

  test('is answered by y alone, dismissed by n and escape, and no other key does anything', () => {
    expect(asked.asking?.question).toBe('cancel task a?');
    for (const key of ['q', 'j', 'enter', 'd', 'Y', 'tab'])
      expect(press(asked, key)).toEqual({ picture: asked });
    for (const key of ['n', 'escape']) {
      const { picture, act } = press(asked, key);
      expect([picture.asking, act]).toEqual([undefined, undefined]);
    }
    expect(press(asked, 'y').act).toEqual({ verb: 'cancel', task: 'a' });
  });

  test('is about the task that was selected, whatever the list does meanwhile', () => {
    expect(press(updated(asked, running('b', 'c')), 'y').act).toEqual({ verb: 'cancel', task: 'a' });
  });

  test('is not asked where nothing is selected that it could be about', () => {
    const { picture, act } = press(empty, 'c');
    expect([picture.asking, act]).toEqual([undefined, undefined]);
    expect(picture.notice?.text).toMatch(/select a task/);
  });
});

describe('text from tasks', () => {
  test('is one line without anything that moves the cursor or turns the row around', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    const moving = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
    const text = fc.string({
      unit: fc.oneof(fc.constantFrom('\u001b', '[', '2J', '\r', '\n', '\u009b', '\u202e', ' '), fc.string()),
    });
    fc.assert(
      fc.property(text, given => {
        expect(oneLine(given)).not.toMatch(moving);
        expect(printedLine(given)).not.toMatch(moving);
      }),
    );
  });

  test('keeps its indentation, and of a progress bar what is seen at the end', () => {
    expect(printedLine('\tif x:\u001b[31m red\u001b[0m')).toBe('  if x: red');
    expect(printedLine(' 10%\r 50%\r100% done\r')).toBe('100% done');
    expect(oneLine(' a \n\t b ')).toBe('a b');
  });
});

describe('the painter', () => {
  const paintOn = (columns: number, rows: number) => {
    const terminal = Object.assign(new PassThrough({ encoding: 'utf8' }), { columns, rows });
    const screen = new Screen(terminal as unknown as NodeJS.WriteStream);
    screen.enter();
    terminal.read();
    return { terminal, screen, written: () => (terminal.read() as string | null) ?? '' };
  };

  test('writes only the lines that changed, none below the screen, and nothing before or after its time', () => {
    const { screen, written } = paintOn(80, 3);
    screen.write('one\ntwo\nthree\nfour');
    expect(written()).toBe('\u001b[1;1H\u001b[Kone\u001b[2;1H\u001b[Ktwo\u001b[3;1H\u001b[Kthree');
    screen.write('one\n2\nthree\nfour');
    expect(written()).toBe('\u001b[2;1H\u001b[K2');
    screen.write('one');
    expect(written()).toBe('\u001b[2;1H\u001b[J');
    screen.wipe();
    screen.write('one');
    expect(written()).toBe('\u001b[2J\u001b[1;1H\u001b[Kone');
    screen.leave();
    expect(written().endsWith('\u001b[?1049l')).toBe(true);
    screen.leave();
    screen.write('late');
    expect(written()).toBe('');
  });
});
