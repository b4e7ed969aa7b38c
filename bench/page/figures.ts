// The metrics of one or more summaries, to be asked by name and tags.
import { carries } from '../harness/report.ts';
import type { Tags } from '../settings.ts';
import type { Summary, SummaryMetric } from '../summary.ts';

export type Figure = SummaryMetric;

/** Which rates are drawn, with the level that stands for each. */
const RATES: [label: string, metric: string, tags: Tags][] = [
  ['all the way, 100 in flight', 'throughput', { in_flight: 100 }],
  ['publish, 100 in flight', 'publish', { in_flight: 100 }],
  ['publish, in batches of 1,000', 'publish', { in_flight: 'batch' }],
  ['drain, 100 at once', 'drain', { at_once: 100 }],
  ['sustained, p99 below 50 ms', 'sustained', {}],
];

export class Figures {
  readonly all: readonly Figure[];

  /** Where two summaries have the same metric, the later one counts. */
  constructor(summaries: readonly Summary[]) {
    this.all = Object.values(
      Object.assign({}, ...summaries.map(summary => summary.metrics)) as Summary['metrics'],
    );
  }

  find(name: string, tags: Tags): Figure[] {
    return this.all.filter(figure => figure.name === name && carries(figure.tags, tags));
  }

  get syncs(): string[] {
    return [...new Set(this.all.map(figure => String(figure.tags['sync'])))];
  }

  get sides(): string[] {
    return [...new Set(this.find('dispatch_p50', {}).map(figure => String(figure.tags['side'])))];
  }

  /** The rates of each side, in groups. */
  rates(sync: string): { label: string; bars: { name: string; value: number }[] }[] {
    return RATES.map(([label, metric, tags]) => ({
      label,
      bars: this.find(metric, { ...tags, sync }).map(figure => ({
        name: String(figure.tags['side']),
        value: figure.values['med'] ?? 0,
      })),
    })).filter(({ bars }) => bars.length > 0);
  }
}
