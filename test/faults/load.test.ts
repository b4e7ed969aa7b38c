// The tasks that a seed gives.
import { describe, expect, test } from 'vitest';
import { LANES, NODES } from './fleet.ts';
import { lineOf, planLoad } from './load.ts';
import { Random } from './random.ts';

const COUNT = 10_800;
const DURATION_MS = 180_000;
const tasks = planLoad(new Random(1), COUNT, DURATION_MS);

describe('the load of a run', () => {
  test('is the same for a seed', () => {
    const again = (seed: number) => JSON.stringify(planLoad(new Random(seed), COUNT, DURATION_MS));
    expect(again(1)).toBe(JSON.stringify(tasks));
    expect(again(2)).not.toBe(JSON.stringify(tasks));
  });

  test('has as many tasks as asked for, each with an id of its own, spread over the time', () => {
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(COUNT);
    const times = tasks.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.filter(atMs => atMs < DURATION_MS / 2).length).toBe(COUNT / 2);
    expect(Math.max(...times)).toBeLessThanOrEqual(DURATION_MS);
  });

  test('has every kind, lane and priority, twice published ones, cancels and retries', () => {
    expect(new Set(tasks.map(({ kind }) => kind)).size).toBe(10);
    expect(new Set(tasks.map(({ capabilities }) => capabilities.join('+')))).toEqual(
      new Set(Object.keys(LANES)),
    );
    expect(new Set(tasks.map(({ priority }) => priority)).size).toBe(3);
    for (const some of [
      tasks.filter(({ publishers }) => publishers.length === 2),
      tasks.filter(({ cancelAfterMs }) => cancelAfterMs !== undefined),
      tasks.filter(({ retryAfterMs }) => retryAfterMs !== undefined),
    ])
      expect(some.length).toBeGreaterThan(50);
  });

  test('can be run by two workers at least, so that one may be gone', () => {
    const ableFor = (capabilities: readonly string[]) =>
      NODES.filter(node => capabilities.every(capability => node.capabilities.includes(capability)));
    expect(tasks.filter(({ capabilities }) => ableFor(capabilities).length < 2)).toEqual([]);
  });

  test('is published as lines whose times count from the publish', () => {
    const delayed = tasks.find(({ delayMs }) => delayMs !== undefined);
    const now = new Date('2026-01-31T12:00:00Z');
    if (!delayed) throw new Error('no delayed task');
    const line = JSON.parse(lineOf(delayed, now));
    expect(line).toMatchObject({ id: delayed.id, input: delayed.input, maxAttempts: delayed.maxAttempts });
    expect(Date.parse(line.notBefore) - now.getTime()).toBe(delayed.delayMs);
  });
});
