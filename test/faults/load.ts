// What is published during a run: a seed gives the tasks, when each is published and by whom, and what an operator does
// to it later. Pure.
// A task's input is one line of words, which a handler and a shell script can both read: kind, seconds of work, attempts
// that are meant to fail, bytes of the result.
import { BACKOFF, LANES, PUBLISHERS, type PublisherName } from './fleet.ts';
import type { Random } from './random.ts';

/** How many of a thousand tasks are of each kind. */
const KINDS = {
  /** Ends well at once. */
  ok: 800,
  /** Works for a while. */
  slow: 60,
  /** Works for longer than a lease. */
  long: 8,
  /** Fails once, then ends well. */
  flaky: 40,
  /** Ends as a dead letter; an operator's retry brings it to a good end. */
  dead: 10,
  /** Never ends well. */
  hopeless: 12,
  /** Asks for a later try. */
  later: 30,
  /** Has a result that does not fit into its entry. */
  large: 12,
  /** Works for longer than its time limit. */
  overtime: 8,
  /** May not start at once. */
  delayed: 20,
};
export type Kind = keyof typeof KINDS;

export interface PlannedTask {
  id: string;
  kind: Kind;
  /** From the beginning of the run. */
  atMs: number;
  /** One, or both where the same id is published twice. */
  publishers: readonly PublisherName[];
  capabilities: readonly string[];
  priority: 'high' | 'medium' | 'low';
  input: string;
  maxAttempts: number;
  timeoutMs: number;
  /** Not before so long after the publish. */
  delayMs?: number;
  /** An operator cancels it so long after its publish was acknowledged. */
  cancelAfterMs?: number;
  /** An operator retries it, where it has failed by then. */
  retryAfterMs?: readonly number[];
}

const TIMEOUT_MS = 60_000;
const OVERTIME_MS = 800;
const LARGE_BYTES = 100_000;

/** So many tasks, spread evenly over the time. */
export function planLoad(random: Random, count: number, durationMs: number): PlannedTask[] {
  const prefix = `f${random.integer(0, 0xffffff).toString(36)}`;
  return Array.from({ length: count }, (_, index) =>
    planTask(random, `${prefix}-${index}`, ((index + random.next()) / count) * durationMs),
  );
}

function planTask(random: Random, id: string, atMs: number): PlannedTask {
  const kind = random.weighted(KINDS);
  const lane = random.weighted(LANES);
  const twice = random.chance(0.03);
  return {
    id,
    kind,
    atMs: Math.round(atMs),
    publishers: twice ? random.shuffled(PUBLISHERS) : [random.pick(PUBLISHERS)],
    capabilities: lane === '' ? [] : lane.split('+'),
    priority: random.weighted({ high: 20, medium: 60, low: 20 }),
    timeoutMs: kind === 'overtime' ? OVERTIME_MS : TIMEOUT_MS,
    ...work(random, kind),
    ...(kind === 'delayed' ? { delayMs: random.integer(1_000, 5_000) } : {}),
    ...(random.chance(CANCELLED[kind] ?? 0.002) ? { cancelAfterMs: random.integer(0, 3_000) } : {}),
    ...(kind === 'dead' ? { retryAfterMs: retries(random) } : {}),
  };
}

/** How many of each kind an operator cancels; of all others hardly any. */
const CANCELLED: Partial<Record<Kind, number>> = { slow: 0.15, long: 0.3, delayed: 0.15, later: 0.1 };

function work(random: Random, kind: Kind): Pick<PlannedTask, 'input' | 'maxAttempts'> {
  const words = (seconds: number, failures: number, bytes = 0) =>
    `${kind} ${seconds.toFixed(3)} ${failures} ${bytes}`;
  switch (kind) {
    case 'ok':
    case 'delayed':
      return { input: words(random.chance(0.2) ? random.between(0, 0.03) : 0, 0), maxAttempts: 3 };
    case 'slow':
      return { input: words(random.between(0.3, 2), 0), maxAttempts: 3 };
    case 'long':
      return { input: words(random.between(5, 9), 0), maxAttempts: 3 };
    case 'flaky':
    case 'later':
      return { input: words(0, random.integer(1, 2)), maxAttempts: 5 };
    case 'dead': {
      const maxAttempts = random.integer(1, 2);
      return { input: words(0, maxAttempts * random.integer(1, 2)), maxAttempts };
    }
    case 'hopeless':
      return { input: words(0, 1_000), maxAttempts: random.integer(1, 3) };
    case 'large':
      return { input: words(0, 0, LARGE_BYTES), maxAttempts: 3 };
    case 'overtime':
      return { input: words(5, 0), maxAttempts: 2 };
  }
}

// Two of them sometimes come right after each other.
function retries(random: Random): number[] {
  const first = random.integer(2_000, 5_000);
  return [first, first + (random.chance(0.4) ? 0 : random.integer(500, 4_000)), first + 8_000];
}

/** The line of a file of tasks that publishes it now. */
export function lineOf(task: PlannedTask, now: Date): string {
  const { id, capabilities, priority, input, maxAttempts, timeoutMs, delayMs } = task;
  const notBefore = delayMs === undefined ? undefined : new Date(now.getTime() + delayMs).toISOString();
  const labels = { kind: task.kind };
  const terms = { maxAttempts, timeoutMs, backoff: BACKOFF, notBefore, labels };
  return JSON.stringify({ id, capabilities, priority, input, ...terms });
}
