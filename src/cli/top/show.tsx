// Shows the cluster until somebody quits. Promise: whatever ends it, the terminal is as it was before.
import { type Instance, render } from 'ink';
import type { Bus } from '../../bus/index.ts';
import { App } from './app.tsx';
import { Feed } from './feed.ts';
import { type Act, emptyPicture } from './picture.ts';
import { Screen } from './screen.ts';
import { Store } from './store.ts';

/** Returns when q or Ctrl-C was pressed, a signal came, or the terminal is gone. Throws what nobody expected. */
export async function showTop(bus: Bus, actor: string): Promise<void> {
  const screen = new Screen(process.stdout);
  const store = new Store(emptyPicture(screen.columns, screen.rows));
  const feed = new Feed(bus, store, actor);
  const ending = listenForEnd();
  const resize = () => {
    screen.wipe();
    store.hear({ type: 'size', columns: screen.columns, rows: screen.rows });
  };
  const leave = () => screen.leave();
  // Where nothing below is reached: an exit from elsewhere.
  process.once('exit', leave);
  process.stdout.on('resize', resize);
  screen.enter();
  const onAct = (act: Act | 'quit') => (act === 'quit' ? ending.end() : void feed.act(act));
  let app: Instance | undefined;
  try {
    app = render(<App store={store} onAct={onAct} />, {
      // Each frame as a whole; the screen sees to what of it is new.
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
    // Draws once more, and so throws again what drawing has thrown.
    app?.unmount();
    await stopped;
    process.stdout.off('resize', resize);
    process.off('exit', leave);
    ending.forget();
  }
}

// A key, a signal, the terminal's end, or an error that nobody caught.
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
      // `fail` stays, and is heard no more: a request that the closing connection cuts off may throw where nobody waits.
    },
  };
}
