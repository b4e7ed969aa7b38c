// What orch sets out to reach, as thresholds on medians over rounds. A run is held against those that it can measure;
// the page lists all of them, reached or not.
import { parseThreshold } from './harness/report.ts';
import type { ScenarioName, Settings, SideName, Threshold } from './settings.ts';

interface Aim {
  scenario: ScenarioName;
  /** The side that it is compared with; undefined: itself at another level. */
  to?: SideName;
  /** Default: every sync. */
  sync?: string;
  /** The level it is about; a run without it cannot measure it. */
  level?: number;
  /** The page shows whether it is reached; a run is not held against it. */
  isWish?: true;
  threshold: string;
}

const PEER_AIMS: Aim[] = (['bullmq', 'graphile-worker', 'graphile-local', 'pg-boss'] as const).flatMap(to => [
  { scenario: 'dispatch', to, threshold: `dispatch_p50_ratio{to:${to}}:med<1` },
  { scenario: 'dispatch', to, threshold: `dispatch_p99_ratio{to:${to}}:med<1` },
]);

const QUEUE_AIMS: Aim[] = (['bullmq', 'graphile-worker'] as const).flatMap(to => [
  { scenario: 'publish', to, sync: '1s', threshold: `publish_ratio{to:${to},sync:1s}:med>1` },
  { scenario: 'drain', to, sync: '1s', threshold: `drain_ratio{to:${to},sync:1s}:med>1` },
]);

export const AIMS: readonly Aim[] = [
  { scenario: 'dispatch', to: 'bare', threshold: 'dispatch_p50_ratio{to:bare}:med<=1.2' },
  { scenario: 'dispatch', to: 'bare', threshold: 'dispatch_p99_ratio{to:bare}:med<=1.5' },
  {
    scenario: 'throughput',
    to: 'bare',
    level: 100,
    threshold: 'throughput_ratio{to:bare,in_flight:100}:med>=0.8',
  },
  { scenario: 'recall', to: 'bare', threshold: 'recall_overhead{to:bare}:med<5' },
  { scenario: 'recall', to: 'bare', isWish: true, threshold: 'recall_overhead{to:bare}:med<0.5' },
  { scenario: 'cli', to: 'bare', threshold: 'cli_ratio{to:bare}:med<=1.3' },
  { scenario: 'backlog', level: 1_000_000, threshold: 'backlog_growth{side:orch,queued:1000000}:med<=1.3' },
  ...PEER_AIMS,
  { scenario: 'roundtrip', to: 'bullmq', threshold: 'roundtrip_p50_ratio{to:bullmq}:med<1' },
  { scenario: 'roundtrip', to: 'bullmq', threshold: 'roundtrip_p99_ratio{to:bullmq}:med<1' },
  ...QUEUE_AIMS,
];

/** Those that a run with these settings measures. */
export function aimsOf(
  settings: Pick<Settings, 'scenarios' | 'sides' | 'syncs' | 'stages' | 'levels'>,
): Threshold[] {
  const { scenarios, sides, syncs, stages, levels } = settings;
  if (!sides.includes('orch')) return [];
  return AIMS.filter(
    ({ scenario, to, sync, level, isWish }) =>
      !isWish &&
      scenarios.includes(scenario) &&
      (to === undefined || sides.includes(to)) &&
      (sync === undefined || syncs.includes(sync)) &&
      (level === undefined || (!stages && (levels as Record<string, number[]>)[scenario]?.includes(level))),
  ).map(({ threshold }) => parseThreshold(threshold));
}
