// The load, in k6's two shapes: virtual users that each do one thing after the other, and arrivals at a rate that does
// not care how long the last one took. Both follow stages. Promise: nothing is started after the last stage, and what
// was started is waited for.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../settings.ts';

/** Timers come up to a millisecond late or early; the rest of the way is waited for on the event loop. */
const TIMER_SLACK_MS = 2;
/** At more arrivals a second than this the loop would do nothing but wait; they come in bundles of a timer's length. */
const PRECISE_RATE_MAX = 500;
/** How often the number of users is brought in line with a ramp. */
const RAMP_STEP_MS = 20;
/** A segment of many minutes on a fast machine ends here. */
const ITERATIONS_MAX = 1_000_000;
/** A ramp from zero begins at this many arrivals a second: the first would be waited for too long. */
const RAMP_RATE_MIN = 10;

/** A load that stays as it is from the first moment on. */
export const constant = (target: number, durationMs: number): Stage[] => [
  { durationMs: 0, target },
  { durationMs, target },
];

/** Runs virtual users. Each calls `iterate` again as soon as its last call has settled. */
export async function runUsers(stages: readonly Stage[], iterate: () => Promise<void>): Promise<void> {
  const start = performance.now();
  const end = start + totalMs(stages);
  let iterations = 0;
  const isOver = () => performance.now() >= end || iterations >= ITERATIONS_MAX;
  const wanted = () => Math.round(targetAt(stages, performance.now() - start));
  const users = new Map<number, Promise<void>>();
  const live = async (index: number) => {
    while (!isOver() && index < wanted()) {
      iterations++;
      await iterate();
    }
  };
  while (!isOver()) {
    for (let index = 0; index < wanted(); index++) {
      if (!users.has(index))
        users.set(
          index,
          live(index).finally(() => users.delete(index)),
        );
    }
    const pauseMs = isConstant(stages) ? end - performance.now() : RAMP_STEP_MS;
    // A user that fails ends the run.
    await Promise.race([sleep(pauseMs), ...users.values()]);
  }
  await Promise.all(users.values());
}

/**
 * Calls `iterate` at a rate, with the time at which it should have started: where `usersMax` are busy it starts later,
 * and the wait belongs to its latency.
 */
export async function runArrivals(
  stages: readonly Stage[],
  usersMax: number,
  iterate: (intendedAt: number) => Promise<void>,
): Promise<void> {
  const start = performance.now();
  const end = start + totalMs(stages);
  const rateMin = Math.min(RAMP_RATE_MIN, peak(stages));
  const running = new Set<Promise<void>>();
  let intendedAt = start;
  while (intendedAt < end && performance.now() < end) {
    await until(intendedAt, targetAt(stages, intendedAt - start) <= PRECISE_RATE_MAX);
    while (running.size >= usersMax) await Promise.race(running);
    const iteration: Promise<void> = iterate(intendedAt).finally(() => running.delete(iteration));
    running.add(iteration);
    intendedAt += 1_000 / Math.max(rateMin, targetAt(stages, intendedAt - start));
  }
  await Promise.all(running);
}

async function until(time: number, isPrecise: boolean): Promise<void> {
  const left = time - performance.now();
  if (left > 0 && !isPrecise) return sleep(left);
  if (left > TIMER_SLACK_MS) await sleep(left - TIMER_SLACK_MS);
  while (performance.now() < time) await new Promise(resolve => setImmediate(resolve));
}

export const totalMs = (stages: readonly Stage[]): number =>
  stages.reduce((sum, stage) => sum + stage.durationMs, 0);

const isConstant = ([first, ...rest]: readonly Stage[]): boolean =>
  first?.durationMs === 0 && rest.every(stage => stage.target === first.target);

/** The most that the stages ask for at any time. */
export const peak = (stages: readonly Stage[]): number => Math.max(...stages.map(stage => stage.target));

function targetAt(stages: readonly Stage[], elapsedMs: number): number {
  let from = 0;
  let before = 0;
  for (const { durationMs, target } of stages) {
    if (elapsedMs < before + durationMs) return from + ((target - from) * (elapsedMs - before)) / durationMs;
    from = target;
    before += durationMs;
  }
  return from;
}
