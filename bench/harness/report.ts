// What a run found: metrics by section, checks, and thresholds on the metrics. A metric has a name and tags, as in k6,
// and gives its statistics by the names that thresholds use.
import { build, type Histogram } from 'hdr-histogram-js';
import { OrchError } from '../../src/protocol/index.ts';
import type { Tags, Threshold } from '../settings.ts';

export type Unit = 'ms' | 'µs' | '/s' | 'x' | '%' | 'B' | 'MB';
export type Statistics = Record<string, number>;

/** Many durations, in an HDR histogram of three significant digits. */
export class Trend {
  readonly unit = 'ms';
  // In microseconds.
  readonly #histogram: Histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });

  add(durationMs: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(durationMs * 1_000)));
  }

  merge(other: Trend): void {
    this.#histogram.add(other.#histogram);
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  percentile(percent: number): number {
    return this.#histogram.getValueAtPercentile(percent) / 1_000;
  }

  get statistics(): Statistics {
    return {
      'p(50)': this.percentile(50),
      'p(90)': this.percentile(90),
      'p(95)': this.percentile(95),
      'p(99)': this.percentile(99),
      'p(99.9)': this.percentile(99.9),
      max: this.#histogram.maxValue / 1_000,
      count: this.count,
    };
  }
}

/** One figure for each round. */
export class PerRound {
  readonly values: number[] = [];
  readonly unit: Unit;

  constructor(unit: Unit) {
    this.unit = unit;
  }

  add(value: number): void {
    this.values.push(value);
  }

  get statistics(): Statistics {
    return { med: median(this.values), min: Math.min(...this.values), max: Math.max(...this.values) };
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export type Measured = { name: string; tags: Tags } & ({ data: Trend } | { data: PerRound });

/** What one scenario found under one sync. Its tags are on all of its metrics. */
export class Section {
  readonly title: string;
  readonly tags: Tags;
  readonly metrics = new Map<string, Measured>();

  constructor(title: string, tags: Tags) {
    this.title = title;
    this.tags = tags;
  }

  trend(name: string, tags: Tags = {}): Trend {
    return this.#metric(name, tags, () => new Trend());
  }

  perRound(name: string, unit: Unit, tags: Tags = {}): PerRound {
    return this.#metric(name, tags, () => new PerRound(unit));
  }

  /** One round's figure of each side, and how orch's compares with each other's. */
  figures(name: string, unit: Unit, bySide: ReadonlyMap<string, number>, tags: Tags = {}): void {
    for (const [side, value] of bySide) this.perRound(name, unit, { side, ...tags }).add(value);
    const orch = bySide.get('orch');
    if (orch === undefined) return;
    for (const [to, value] of bySide)
      if (to !== 'orch' && value > 0) this.perRound(`${name}_ratio`, 'x', { to, ...tags }).add(orch / value);
  }

  #metric<T extends Trend | PerRound>(name: string, own: Tags, make: () => T): T {
    const tags = { ...own, ...this.tags };
    const key = keyOf(name, tags);
    const known = this.metrics.get(key)?.data as T | undefined;
    const data = known ?? make();
    if (!known) this.metrics.set(key, { name, tags, data } as Measured);
    return data;
  }
}

/** `dispatch_p50{side:orch,sync:always}` */
export function keyOf(name: string, tags: Tags): string {
  const list = Object.entries(tags).map(([tag, value]) => `${tag}:${value}`);
  return list.length === 0 ? name : `${name}{${list.join(',')}}`;
}

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

export class Report {
  readonly sections: Section[] = [];
  readonly checks: Check[] = [];
  readonly thresholds: readonly Threshold[];
  /** Versions and settings. */
  facts: Record<string, string> = {};
  /** What was asked for and is not in the run, with the reason. */
  readonly absent = new Map<string, string>();

  constructor(thresholds: readonly Threshold[]) {
    this.thresholds = thresholds;
  }

  section(title: string, tags: Tags): Section {
    const section = new Section(title, tags);
    this.sections.push(section);
    return section;
  }

  check(name: string, ok: boolean, detail: string): void {
    this.checks.push({ name, ok, detail });
  }
}

const COMPARE: Record<Threshold['operator'], (a: number, b: number) => boolean> = {
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
};

/** Reads `throughput_ratio{in_flight:100,to:bare}:med>=0.8`. Throws `usage`. */
export function parseThreshold(text: string): Threshold {
  const match = /^(\w+)(\{[^}]*\})?:([\w().]+)(<=|>=|<|>)([\d.]+)$/.exec(text.replaceAll(' ', ''));
  const [, name, braces = '', statistic, operator, limit] = match ?? [];
  if (!name || !statistic || !operator || !limit || Number.isNaN(Number(limit)))
    throw new OrchError('usage', `threshold "${text}" is not like dispatch_p50_ratio{to:bare}:med<=1.2`);
  const pairs = braces.slice(1, -1).split(',').filter(Boolean);
  return {
    metric: name + braces,
    name,
    tags: Object.fromEntries(pairs.map(pair => pair.split(':', 2))),
    statistic,
    operator: operator as Threshold['operator'],
    limit: Number(limit),
  };
}

export interface Verdict {
  threshold: Threshold;
  /** The key of a metric that has the threshold's name and tags; undefined: nothing in this run has. */
  key: string | undefined;
  value: number | undefined;
  ok: boolean;
}

/**
 * Holds each threshold against all metrics that have its tags; one that finds none is crossed. Those that compare with a
 * side that is absent go with it.
 */
export function judge(report: Report): Verdict[] {
  const all = report.sections.flatMap(section => [...section.metrics]);
  const present = report.thresholds.filter(({ tags }) => !report.absent.has(String(tags['to'])));
  return present.flatMap((threshold): Verdict[] => {
    const found = all.filter(
      ([, { name, tags }]) => name === threshold.name && carries(tags, threshold.tags),
    );
    if (found.length === 0) return [{ threshold, key: undefined, value: undefined, ok: false }];
    return found.map(([key, { data }]) => {
      const value = data.statistics[threshold.statistic];
      return {
        threshold,
        key,
        value,
        ok: value !== undefined && COMPARE[threshold.operator](value, threshold.limit),
      };
    });
  });
}

export const carries = (tags: Tags, wanted: Tags): boolean =>
  Object.entries(wanted).every(([tag, value]) => String(tags[tag]) === String(value));
