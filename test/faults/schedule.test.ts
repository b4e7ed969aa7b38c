// The schedule of faults that a seed gives.
import { describe, expect, test } from 'vitest';
import { Random } from './random.ts';
import { describeFault, FAULT_KINDS, type Fault, type FaultKind, planFaults } from './schedule.ts';

const MINUTES = 60_000;
const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);
const WITHOUT_DELETES = FAULT_KINDS.filter(kind => kind !== 'delete');

const plan = (
  seed: number,
  options: { servers?: 1 | 3; kinds?: readonly FaultKind[]; minutes?: number } = {},
) => {
  const { servers = 3, kinds = FAULT_KINDS, minutes = 3 } = options;
  return planFaults(new Random(seed), { servers, kinds, durationMs: minutes * MINUTES });
};

const overlaps = (faults: readonly Fault[]): string[] =>
  faults.flatMap((fault, index) =>
    faults
      .slice(index + 1)
      .filter(later => later.atMs < fault.atMs + fault.forMs)
      .map(later => `${describeFault(fault)} / ${describeFault(later)}`),
  );

describe('the faults of a run', () => {
  test('are the same for a seed', () => {
    expect(plan(1)).toEqual(plan(1));
    expect(plan(1)).not.toEqual(plan(2));
  });

  test('come in the order of their times, and are over before the end', () => {
    for (const seed of SEEDS) {
      const faults = plan(seed);
      expect(faults.map(({ atMs }) => atMs)).toEqual(
        faults.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
      );
      expect(faults.filter(({ atMs, forMs }) => atMs + forMs > 3 * MINUTES)).toEqual([]);
    }
  });

  test('befall one target one at a time', () => {
    for (const seed of SEEDS) {
      const faults = plan(seed);
      for (const target of new Set(faults.map(fault => fault.target)))
        expect(overlaps(faults.filter(fault => fault.target === target))).toEqual([]);
    }
  });

  test('befall one server at a time, but for the fault that is of two', () => {
    for (const seed of SEEDS)
      expect(overlaps(plan(seed).filter(({ target }) => target.startsWith('server-')))).toEqual([]);
  });

  test('are of every kind within three minutes', () => {
    for (const seed of SEEDS)
      expect(new Set(plan(seed).map(({ kind }) => kind)), `seed ${seed}`).toEqual(new Set(FAULT_KINDS));
  });

  test('are of the kinds that were asked for, and of one server never two', () => {
    for (const seed of SEEDS) {
      const kinds = new Set(plan(seed, { servers: 1, kinds: WITHOUT_DELETES }).map(({ kind }) => kind));
      expect(kinds).not.toContain('delete');
      expect(kinds).not.toContain('server-kill-two');
    }
    expect(plan(1, { kinds: [] })).toEqual([]);
    expect(plan(1, { servers: 1, kinds: ['server-kill-two'] })).toEqual([]);
  });

  test('are some in the shortest run that is allowed', () => {
    for (const seed of SEEDS) expect(plan(seed, { minutes: 0.5 }).length).toBeGreaterThan(4);
  });

  test('are shown in one line each', () => {
    const fault: Fault = {
      kind: 'link-half-open',
      atMs: 1,
      forMs: 2_500,
      target: 'n1',
      detail: { towards: 'server' },
    };
    expect(describeFault(fault)).toBe('link-half-open n1 2.5s towards=server');
  });
});
