// What is printed: k6's header and end-of-test summary, and the same as JSON.
import { writeFile } from 'node:fs/promises';
import { colors } from '../src/cli/print.ts';
import { formatDuration } from '../src/protocol/index.ts';
import { keyOf, PerRound, type Report, type Section, type Unit, type Verdict } from './harness/report.ts';
import { ROUNDS } from './harness/scenario.ts';
import { scenarioOf } from './scenarios/index.ts';
import type { Settings, Tags } from './settings.ts';

/** The summary of one run, in the shape that k6 gives to `handleSummary`, with the settings and the rounds beside it. */
export interface Summary {
  command: string;
  /** Its figures mean nothing. */
  smoke: boolean;
  facts: Record<string, string>;
  absent: Record<string, string>;
  metrics: Record<string, SummaryMetric>;
  root_group: { checks: { name: string; detail: string; passes: number; fails: number }[] };
}

export interface SummaryMetric {
  name: string;
  tags: Tags;
  unit: Unit;
  /** `p(50)`, `med`, `count` and the like. */
  values: Record<string, number>;
  /** Of a figure that each round has. */
  rounds?: number[];
  /** As in k6: true means crossed. */
  thresholds?: Record<string, boolean>;
}

const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

const mark = (ok: boolean): string => (ok ? colors.green('✓') : colors.red('✗'));

/** Settings, before the first round. */
export function printHeader(settings: Settings): void {
  print();
  printLines(settingLines(settings));
}

// `7 (drain 2, sustained 1)`
function roundsText({ rounds, scenarios }: Settings): string {
  if (rounds !== undefined) return String(rounds);
  const own = scenarios.flatMap(name => {
    const { rounds: few } = scenarioOf(name);
    return few === undefined ? [] : [`${name} ${few}`];
  });
  return own.length === 0 ? String(ROUNDS) : `${ROUNDS} (${own.join(', ')})`;
}

const settingLines = (settings: Settings): Record<string, string> => ({
  scenarios: settings.scenarios.join(', '),
  sides: settings.sides.join(', '),
  sync: settings.syncs.join(', '),
  rounds: `${roundsText(settings)} of ${settings.stages?.map(stage => `${formatDuration(stage.durationMs)}:${stage.target}`).join(' ') ?? formatDuration(settings.durationMs)} a side, and one to warm up${settings.isSmoke ? '; a smoke run, whose figures mean nothing' : ''}`,
});

function printLines(lines: Record<string, string>): void {
  const width = Math.max(...Object.keys(lines).map(name => name.length));
  for (const [name, text] of Object.entries(lines)) print(`    ${name.padStart(width)}: ${text}`);
  print();
}

export function printSummary(report: Report, verdicts: readonly Verdict[]): void {
  heading('VERSIONS AND SETTINGS');
  printLines(report.facts);
  if (report.absent.size > 0) {
    heading('ABSENT');
    printLines(Object.fromEntries(report.absent));
  }
  if (verdicts.length > 0) heading('THRESHOLDS');
  for (const { threshold, key, value, ok } of verdicts) {
    const { metric, statistic, operator, limit } = threshold;
    const found = value === undefined ? 'not measured' : `${statistic}=${value.toFixed(2)}`;
    print(`    ${key ?? metric}\n    ${mark(ok)} '${statistic}${operator}${limit}' ${found}\n`);
  }
  printReport(report);
}

/** Checks and metrics, without thresholds. */
export function printReport(report: Report): void {
  heading('TOTAL RESULTS');
  printChecks(report);
  for (const section of report.sections) printSection(section);
}

// What is common to a section stands in its title; submetrics stand below their metric, as in k6.
function printSection({ title, tags: common, metrics }: Section): void {
  print(`    ${colors.bold(title)}`);
  const lines = [...metrics.values()].map(({ name, tags, data }) => {
    const own = Object.fromEntries(Object.entries(tags).filter(([tag]) => !(tag in common)));
    return { name, label: `  ${keyOf('', own).replace('{', '{ ').replace('}', ' }')}`, data };
  });
  const width = Math.max(0, ...lines.map(({ label }) => label.length)) + 3;
  for (const name of new Set(lines.map(line => line.name))) {
    print(`    ${name}`);
    for (const line of lines)
      if (line.name === name) print(`    ${line.label.padEnd(width, '.')}: ${statisticsText(line.data)}`);
  }
  print();
}

function heading(title: string): void {
  print(`\n  ${colors.bold(`█ ${title}`)}\n`);
}

function printChecks({ checks }: Report): void {
  const passed = checks.filter(check => check.ok).length;
  const share = (count: number) => `${((100 * count) / Math.max(1, checks.length)).toFixed(2)}%`;
  const failed = checks.length - passed;
  print(`    checks_total.......: ${checks.length}`);
  print(`    checks_succeeded...: ${share(passed)} ${passed} out of ${checks.length}`);
  print(`    checks_failed......: ${share(failed)} ${failed} out of ${checks.length}\n`);
  for (const { name, ok, detail } of checks) print(`    ${mark(ok)} ${name} ${colors.dim(`(${detail})`)}`);
  print();
}

type Data = { unit: Unit; statistics: Record<string, number> };

function statisticsText(data: Data): string {
  const statistics = Object.entries(data.statistics)
    .map(([name, value]) =>
      name === 'count' ? `n=${value}` : `${colors.dim(`${name}=`)}${valueText(value, data.unit)}`,
    )
    .join(' ');
  if (!(data instanceof PerRound)) return statistics;
  return `${statistics} ${colors.dim(`rounds ${data.values.map(value => valueText(value, '')).join(' ')}`)}`;
}

function valueText(value: number, unit: Unit | ''): string {
  const digits = value >= 1_000 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit}`.padEnd(unit === '' ? 0 : 7);
}

/** The summary as data. */
export function summaryOf(settings: Settings, report: Report, verdicts: readonly Verdict[]): Summary {
  const metrics = report.sections
    .flatMap(section => [...section.metrics])
    .map(([key, { name, tags, data }]): [string, SummaryMetric] => {
      const own = verdicts.filter(verdict => verdict.key === key);
      const thresholds = own.map(({ threshold: { statistic, operator, limit }, ok }) => [
        `${statistic}${operator}${limit}`,
        !ok,
      ]);
      const metric: SummaryMetric = { name, tags, unit: data.unit, values: data.statistics };
      if (data instanceof PerRound) metric.rounds = data.values;
      if (own.length > 0) metric.thresholds = Object.fromEntries(thresholds);
      return [key, metric];
    });
  return {
    command: settings.command,
    smoke: settings.isSmoke,
    facts: { ...report.facts, ...settingLines(settings) },
    absent: Object.fromEntries(report.absent),
    metrics: Object.fromEntries(metrics),
    root_group: {
      checks: report.checks.map(({ name, ok, detail }) => ({
        name,
        detail,
        passes: Number(ok),
        fails: Number(!ok),
      })),
    },
  };
}

/** Writes what `--summary-export` asks for. */
export async function writeSummary(file: string, summary: Summary): Promise<void> {
  await writeFile(file, `${JSON.stringify(summary, null, 2)}\n`);
}
