// What the daemons share: logs, and the story of their end. The first SIGTERM or Ctrl-C drains, the second stops now.
import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationStream, pino } from 'pino';
import type { Daemon, HealthServer, Logger } from '../daemon/index.ts';
import { OrchError, quoted } from '../protocol/index.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** JSON lines on stderr for programs, readable lines on a terminal; each names the node. */
export async function openLog(level: string | undefined, node: string): Promise<Logger> {
  if (level !== undefined && !LEVELS.includes(level)) {
    throw new OrchError('usage', `--log-level ${quoted(level)} is not allowed: use ${LEVELS.join(', ')}`);
  }
  let destination: DestinationStream = pino.destination({ fd: 2, sync: true });
  if (process.stderr.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    destination = pretty({
      destination: 2,
      sync: true,
      singleLine: true,
      ignore: 'pid,hostname,node,traceparent',
      translateTime: 'HH:MM:ss.l',
    });
  }
  const log: Logger = pino(
    { level: level ?? 'info', base: { node }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
  return log;
}

/** The signals that end a daemon: the first drains, the second hurries, the third ends the process as it is. */
export interface StopSignals {
  first: Promise<'signal'>;
  second: Promise<'signal'>;
}

/** Listens from now on; what is started after this can be stopped in order. */
export function stopSignals(): StopSignals {
  const settle: (() => void)[] = [];
  const next = () => new Promise<'signal'>(resolve => settle.push(() => resolve('signal')));
  const [first, second] = [next(), next()];
  const hear = () => {
    const heard = settle.shift();
    if (heard) heard();
    else process.exit(130);
  };
  process.on('SIGINT', hear).on('SIGTERM', hear);
  return { first, second };
}

/** A start that a signal finds under way is let finish, and stopped in order, unless it takes longer. */
const START_GRACE_MS = 3_000;

/** Waits for a daemon to start; undefined when a signal, or the end of what it needs, comes in its way. */
export async function startedUnless<T>(
  starting: Promise<T>,
  signals: StopSignals,
  gone: Promise<unknown> = new Promise(() => {}),
): Promise<T | undefined> {
  const given = signals.first.then(() => sleep(START_GRACE_MS, undefined, { ref: false }));
  // Given up, it fails where nobody waits.
  starting.catch(() => {});
  return Promise.race([starting, given, gone.then(() => undefined)]);
}

/** Stops a daemon: drains it, and hurries at the second signal. Its health is served to the end. */
export async function drain(
  { daemon, health }: { daemon: Daemon; health: HealthServer | undefined },
  drainTimeoutMs: number,
  signals: StopSignals,
): Promise<void> {
  void signals.second.then(() => daemon.stop(0));
  await daemon.stop(drainTimeoutMs);
  await health?.stop();
}
