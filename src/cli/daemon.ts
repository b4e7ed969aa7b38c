// What the daemons share: logs, and the story of their end. The first SIGTERM or Ctrl-C drains, the second stops now.
import { type DestinationStream, pino } from 'pino';
import { OrchError, quoted } from '../protocol/index.ts';
import type { Logger } from '../worker/index.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** JSON lines on stderr for programs, readable lines on a terminal. */
export async function openLog(level: string | undefined): Promise<Logger> {
  if (level !== undefined && !LEVELS.includes(level)) {
    throw new OrchError('usage', `--log-level ${quoted(level)} is not allowed: use ${LEVELS.join(', ')}`);
  }
  let destination: DestinationStream = pino.destination({ fd: 2, sync: true });
  if (process.stderr.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    destination = pretty({
      destination: 2,
      sync: true,
      ignore: 'pid,hostname,traceparent',
      translateTime: 'HH:MM:ss.l',
    });
  }
  const log: Logger = pino(
    { level: level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
  return log;
}

/** Waits for a signal, drains, and hurries at the second one; returns when all is over. */
export async function untilStopped(
  stop: (hurry: boolean) => Promise<void>,
  ended: Promise<unknown> = new Promise(() => {}),
): Promise<void> {
  let signals = 0;
  let finish: (() => void) | undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    finish = () => stop(false).then(resolve, reject);
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        signals++;
        if (signals === 1) finish?.();
        else if (signals === 2) void stop(true);
        else process.exit(130);
      });
    }
  });
  void ended.then(() => signals === 0 && finish?.());
  await stopped;
}
