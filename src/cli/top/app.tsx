// The whole picture, and the keys.
import { Box, type Key as InkKey, useInput } from 'ink';
import { useSyncExternalStore } from 'react';
import { BottomBar, TopBar } from './bars.tsx';
import { type Key, press } from './keys.ts';
import { Help, OpenPage } from './pages.tsx';
import { type Act, openPage, type Picture } from './picture.ts';
import type { Store } from './store.ts';
import { Table } from './table.tsx';
import { panesInView } from './view.ts';

export function App({ store, onAct }: { store: Store; onAct(act: Act | 'quit'): void }) {
  const picture = useSyncExternalStore(store.subscribe, store.get);
  useInput((input, key) => {
    for (const pressed of keysOf(input, key)) {
      const { picture: next, act } = press(store.get(), pressed);
      const isQuestion = next.asking !== store.get().asking;
      store.set(next);
      if (act) onAct(act);
      // A key typed before the question could be read is no answer to it.
      if (isQuestion) break;
    }
  });
  return (
    <Box flexDirection="column" width={picture.columns} height={picture.rows} overflow="hidden">
      <TopBar picture={picture} />
      <Box flexDirection="column" flexGrow={1} flexShrink={1} overflow="hidden">
        <Body picture={picture} />
      </Box>
      <BottomBar picture={picture} />
    </Box>
  );
}

function Body({ picture }: { picture: Picture }) {
  const page = openPage(picture);
  if (picture.isHelp) return <Help picture={picture} />;
  if (page) return <OpenPage picture={picture} page={page} />;
  return panesInView(picture).map(({ pane, ...view }) => (
    <Box key={pane} height={view.height + 1} flexShrink={0}>
      <Table
        title={pane.toUpperCase()}
        view={view}
        width={picture.columns}
        hasFocus={pane === picture.focus}
      />
    </Box>
  ));
}

const NAMED: readonly (readonly [keyof InkKey, Key])[] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['pageUp', 'page-up'],
  ['pageDown', 'page-down'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
];

const CONTROL: Readonly<Record<string, Key>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u0003': 'ctrl-c',
};

// Keys typed fast, or over a slow line, arrive together; escape followed by another key looks like Alt.
function keysOf(input: string, key: InkKey): Key[] {
  if (key.ctrl) return input === 'c' ? ['ctrl-c'] : [];
  const named = NAMED.find(([name]) => key[name] === true)?.[1];
  const keys = named ? [named] : key.tab ? [key.shift ? 'back-tab' : 'tab'] : [];
  const typed = keys.length > 0 ? keys : [...input].map(letter => CONTROL[letter] ?? letter);
  return key.meta && named !== 'escape' ? ['escape', ...typed] : typed;
}
