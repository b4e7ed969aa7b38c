// Runs `orch top` until the user quits. Promise: however it ends, the terminal is restored.
import { type Instance, render } from 'ink';
import type { Bus } from '../../bus/index.ts';
import { App } from './app.tsx';
import { Feed } from './feed.ts';
import { type Act, emptyPicture } from './picture.ts';
import { Screen } from './screen.ts';
import { Store } from './store.ts';

/** Returns after q, Ctrl-C, a signal, or the end of the terminal. Throws unexpected errors. */
export async function showTop(bus: Bus, actor: string): Promise<void> {
  const screen = new Screen(process.stdout);
  const store = new Store(emptyPicture(screen.columns, screen.rows));
  const feed = new Feed(bus, store, actor);
  const ending = listenForEnd();
  const resize = () => {
    screen.wipe();
    store.update({ type: 'size', columns: screen.columns, rows: screen.rows });
  };
  const leave = () => screen.leave();
  // For an exit from elsewhere, which reaches none of the code below.
  process.once('exit', leave);
  process.stdout.on('resize', resize);
  screen.enter();
  const onAct = (act: Act | 'quit') => (act === 'quit' ? ending.end() : void feed.act(act));
  let app: Instance | undefined;
  try {
    app = render(<App store={store} onAct={onAct} />, {
      // Ink passes whole frames; the screen paints what changed.
      debug: true,
      stdout: screen as unknown as NodeJS.WriteStream,
      exitOnCtrlC: false,
      patchConsole: false,
      isScreenReaderEnabled: false,
    });
    feed.start();
    await Promise.race([ending.ended, app.waitUntilExit()]);
  } finally {
    const stopped = feed.stop();
    screen.leave();
    // Draws once more, and so throws again what drawing threw.
    app?.unmount();
    await stopped;
    process.stdout.off('resize', resize);
    process.off('exit', leave);
    ending.forget();
  }
}

// Ends on a key, a signal, the end of the terminal, or an uncaught error.
function listenForEnd(): { ended: Promise<void>; end(): void; forget(): void } {
  let end = () => {};
  let fail = (_: unknown) => {};
  const ended = new Promise<void>((resolve, reject) => {
    [end, fail] = [resolve, reject];
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, end);
  process.stdin.on('end', end);
  process.on('uncaughtException', fail);
  return {
    ended,
    end,
    forget: () => {
      for (const name of signals) process.off(name, end);
      process.stdin.off('end', end);
      // `fail` stays registered, without effect: a request cut off by the closing connection may still throw.
    },
  };
}
