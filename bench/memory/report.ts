// What a run about memories found: named metrics by section, and checks, printed in k6's manner. There is one side only,
// so there are no ratios and no thresholds.
import { colors } from '../../src/cli/print.ts';
import type { Trend } from '../harness/report.ts';

/** Shares of something, between 0 and 1. */
export class Share {
  readonly unit = '';
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
  }

  get statistics(): Record<string, number> {
    const count = this.#values.length;
    return { avg: this.#values.reduce((sum, value) => sum + value, 0) / count, count };
  }
}

type Metric = Trend | Share;

export interface Section {
  title: string;
  metrics: Map<string, Metric>;
}

export class Report {
  readonly sections: Section[] = [];
  /** Versions and settings. */
  facts: Record<string, string> = {};
  readonly checks: { name: string; ok: boolean; detail: string }[] = [];

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

/** Checks, then metrics. */
export function printReport({ checks, sections }: Report): void {
  const mark = (ok: boolean) => (ok ? colors.green('✓') : colors.red('✗'));
  for (const { name, ok, detail } of checks) print(`    ${mark(ok)} ${name} ${colors.dim(`(${detail})`)}`);
  for (const { title, metrics } of sections) {
    print(`\n    ${colors.bold(title)}`);
    const width = Math.max(...[...metrics.keys()].map(name => name.length)) + 3;
    for (const [name, metric] of metrics) print(`    ${name.padEnd(width, '.')}: ${statisticsText(metric)}`);
  }
}

function statisticsText(metric: Metric): string {
  return Object.entries(metric.statistics)
    .map(([name, value]) =>
      name === 'count' ? `n=${value}` : `${colors.dim(`${name}=`)}${valueText(value, metric.unit)}`,
    )
    .join(' ');
}

function valueText(value: number, unit: string): string {
  const digits = value >= 1_000 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit}`.padEnd(unit === '' ? 0 : 7);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);
