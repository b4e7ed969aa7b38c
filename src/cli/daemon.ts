// What the daemons share: logs, and the story of their end. The first SIGTERM or Ctrl-C drains, the second stops now.
import { type DestinationStream, pino } from 'pino';
import { OrchError, quoted } from '../protocol/index.ts';
import type { Logger, Worker } from '../worker/index.ts';

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
      singleLine: true,
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

/** Stops a worker: drains it, and hurries at the second signal. */
export async function drain(worker: Worker, drainTimeoutMs: number, signals: StopSignals): Promise<void> {
  void signals.second.then(() => worker.stop(0));
  await worker.stop(drainTimeoutMs);
}
