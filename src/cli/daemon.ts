// What `orch up` and `orch worker` share: logs, and how signals end them. The first SIGTERM or Ctrl-C drains, the
// second stops now, the third exits.
import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationStream, pino } from 'pino';
import type { Daemon, HealthServer, Logger } from '../daemon/index.ts';
import { OrchError, quoted } from '../protocol/index.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** Logs JSON lines to stderr, or readable lines on a terminal; each carries the node. Throws `usage`. */
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

/** Settle at the first and second signal; the third exits. */
export interface StopSignals {
  first: Promise<'signal'>;
  second: Promise<'signal'>;
}

/** Handles SIGTERM and Ctrl-C from now on, so that what is started after this can be stopped in order. */
export function stopSignals(): StopSignals {
  const settle: (() => void)[] = [];
  const next = () => new Promise<'signal'>(resolve => settle.push(() => resolve('signal')));
  const [first, second] = [next(), next()];
  const onSignal = () => {
    const settleNext = settle.shift();
    if (settleNext) settleNext();
    else process.exit(130);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return { first, second };
}

/** If a signal arrives during startup, startup may finish within this time, to be stopped in order. */
const START_GRACE_MS = 3_000;

/** Waits for a daemon to start; undefined when a signal, or the end of its server, comes first. */
export async function startedUnless<T>(
  starting: Promise<T>,
  signals: StopSignals,
  gone: Promise<unknown> = new Promise(() => {}),
): Promise<T | undefined> {
  const interrupted = signals.first.then(() => sleep(START_GRACE_MS, undefined, { ref: false }));
  // A start that is no longer awaited may still fail.
  starting.catch(() => {});
  return Promise.race([starting, interrupted, gone.then(() => undefined)]);
}

/** How long a daemon may take to end after the second signal, whatever the server or the disk does. */
const STOP_NOW_MS = 3_000;

/** Stops a daemon: drains it, and stops it at once at the second signal. Its health is served to the end. */
export async function drain(
  { daemon, health }: { daemon: Daemon; health: HealthServer | undefined },
  drainTimeoutMs: number,
  signals: StopSignals,
): Promise<void> {
  void signals.second.then(() => {
    setTimeout(() => process.exit(130), STOP_NOW_MS).unref();
    return daemon.stop(0);
  });
  await daemon.stop(drainTimeoutMs);
  await health?.stop();
}
