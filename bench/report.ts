// What a run found: metrics by section, checks, and thresholds on the metrics. Metrics are named as in k6, with their
// tags in braces; each gives its statistics by the names that thresholds use.
import { build, type Histogram } from 'hdr-histogram-js';
import { OrchError } from '../src/protocol/index.ts';

export type Statistics = Record<string, number>;

export interface Metric {
  readonly unit: 'ms' | 'µs' | '/s' | 'x';
  readonly statistics: Statistics;
}

/** Many durations, in an HDR histogram of three significant digits. */
export class Trend implements Metric {
  readonly unit = 'ms';
  // In microseconds.
  readonly #histogram: Histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });

  add(durationMs: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(durationMs * 1_000)));
  }

  merge(other: Trend): void {
    this.#histogram.add(other.#histogram);
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
      max: this.#histogram.maxValue / 1_000,
      count: this.#histogram.totalCount,
    };
  }
}

/** One figure for each round. */
export class PerRound implements Metric {
  readonly values: number[] = [];
  readonly unit: Metric['unit'];

  constructor(unit: Metric['unit']) {
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

export interface Section {
  title: string;
  metrics: Map<string, Metric>;
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

  constructor(thresholds: readonly Threshold[]) {
    this.thresholds = thresholds;
  }

  section(title: string): Section {
    const section: Section = { title, metrics: new Map() };
    this.sections.push(section);
    return section;
  }
}

/** The section's metric of this name, made at first use. */
export function metricOf<M extends Metric>(section: Section, name: string, make: () => M): M {
  const metric = (section.metrics.get(name) as M | undefined) ?? make();
  section.metrics.set(name, metric);
  return metric;
}

const COMPARE = {
  '<=': (a: number, b: number) => a <= b,
  '>=': (a: number, b: number) => a >= b,
  '<': (a: number, b: number) => a < b,
  '>': (a: number, b: number) => a > b,
};

export interface Threshold {
  metric: string;
  statistic: string;
  operator: keyof typeof COMPARE;
  limit: number;
}

/** Reads `throughput_ratio{in_flight:100}:med>=0.6`. Throws `usage`. */
export function parseThreshold(text: string): Threshold {
  const match = /^([\w]+(?:\{[^}]*\})?):([\w().]+)(<=|>=|<|>)([\d.]+)$/.exec(text.replaceAll(' ', ''));
  const [, metric, statistic, operator, limit] = match ?? [];
  if (!metric || !statistic || !operator || !limit)
    throw new OrchError('usage', `threshold "${text}" is not like dispatch_p50_ratio:med<=1.5`);
  return { metric, statistic, operator: operator as Threshold['operator'], limit: Number(limit) };
}

export interface Verdict {
  threshold: Threshold;
  /** Undefined: nothing in this run has that name. */
  value: number | undefined;
  ok: boolean;
}

/** Holds each threshold against its metric; one on a metric that was not measured is crossed. */
export function judge(report: Report): Verdict[] {
  return report.thresholds.map(threshold => {
    const metric = report.sections.map(section => section.metrics.get(threshold.metric)).find(Boolean);
    const value = metric?.statistics[threshold.statistic];
    const ok = value !== undefined && COMPARE[threshold.operator](value, threshold.limit);
    return { threshold, value, ok };
  });
}
