// What is printed: k6's header and end-of-test summary, and the same as JSON.
import { writeFile } from 'node:fs/promises';
import colors from 'picocolors';
import { formatDuration } from '../src/protocol/index.ts';
import type { Settings } from './command-line.ts';
import type { Environment } from './environment.ts';
import { type Metric, PerRound, type Report, type Verdict } from './report.ts';

const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

const mark = (ok: boolean): string => (ok ? colors.green('✓') : colors.red('✗'));

/** Versions and settings, before the first round. */
export function printHeader({ facts }: Environment, settings: Settings): void {
  const lines = {
    ...facts,
    scenarios: settings.scenarios.join(', '),
    sides: settings.sides.join(', '),
    rounds: `${settings.rounds} of ${settings.stages?.map(stage => `${formatDuration(stage.durationMs)}:${stage.target}`).join(' ') ?? formatDuration(settings.durationMs)} a side, and one to warm up`,
  };
  print();
  for (const [name, text] of Object.entries(lines)) print(`${name.padStart(14)}: ${text}`);
  print();
}

export function printSummary(report: Report, verdicts: readonly Verdict[]): void {
  if (verdicts.length > 0) heading('THRESHOLDS');
  for (const verdict of verdicts) {
    const { threshold, value, ok } = verdict;
    const { metric, statistic, operator, limit } = threshold;
    const found = value === undefined ? 'not measured' : `${statistic}=${value.toFixed(2)}`;
    print(`    ${metric}\n    ${mark(ok)} '${statistic}${operator}${limit}' ${found}\n`);
  }
  heading('TOTAL RESULTS');
  printChecks(report);
  for (const { title, metrics } of report.sections) {
    print(`    ${colors.bold(title)}`);
    const lines = [...grouped(metrics)];
    const width = Math.max(...lines.map(([name]) => name.length)) + 3;
    for (const [name, metric] of lines)
      print(metric ? `    ${name.padEnd(width, '.')}: ${statisticsText(metric)}` : `    ${name}`);
    print();
  }
}

// Submetrics stand below their metric, as in k6.
function* grouped(metrics: ReadonlyMap<string, Metric>): Generator<[name: string, metric?: Metric]> {
  const baseOf = (name: string) => name.replace(/\{.*/, '');
  for (const base of new Set([...metrics.keys()].map(baseOf))) {
    const whole = metrics.get(base);
    yield whole ? [base, whole] : [base];
    for (const [name, metric] of metrics)
      if (name !== base && baseOf(name) === base) yield [`  { ${name.slice(base.length + 1, -1)} }`, metric];
  }
}

function heading(title: string): void {
  print(`\n  ${colors.bold(`█ ${title}`)}\n`);
}

function printChecks({ checks }: Report): void {
  const passed = checks.filter(check => check.ok).length;
  const share = (count: number) => `${((100 * count) / Math.max(1, checks.length)).toFixed(2)}%`;
  print(`    checks_total.......: ${checks.length}`);
  print(`    checks_succeeded...: ${share(passed)} ${passed} out of ${checks.length}`);
  print(
    `    checks_failed......: ${share(checks.length - passed)} ${checks.length - passed} out of ${checks.length}\n`,
  );
  for (const { name, ok, detail } of checks) print(`    ${mark(ok)} ${name} ${colors.dim(`(${detail})`)}`);
  print();
}

function statisticsText(metric: Metric): string {
  const statistics = Object.entries(metric.statistics)
    .map(([name, value]) =>
      name === 'count' ? `n=${value}` : `${colors.dim(`${name}=`)}${valueText(value, metric.unit)}`,
    )
    .join(' ');
  if (!(metric instanceof PerRound)) return statistics;
  return `${statistics} ${colors.dim(`rounds ${metric.values.map(value => valueText(value, '')).join(' ')}`)}`;
}

function valueText(value: number, unit: Metric['unit'] | ''): string {
  const digits = value >= 1_000 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit}`.padEnd(unit === '' ? 0 : 7);
}

/** Writes the summary in the shape of k6's `--summary-export`, with the settings and the rounds beside it. */
export async function exportSummary(
  file: string,
  { facts, sections, checks }: Report,
  verdicts: readonly Verdict[],
): Promise<void> {
  const metrics = Object.fromEntries(
    sections
      .flatMap(section => [...section.metrics])
      .map(([name, metric]) => {
        const own = verdicts.filter(verdict => verdict.threshold.metric === name);
        // As in k6: true means crossed.
        const thresholds = Object.fromEntries(
          own.map(({ threshold: { statistic, operator, limit }, ok }) => [
            `${statistic}${operator}${limit}`,
            !ok,
          ]),
        );
        return [
          name,
          {
            ...metric.statistics,
            unit: metric.unit,
            ...(metric instanceof PerRound ? { rounds: metric.values } : {}),
            ...(own.length > 0 ? { thresholds } : {}),
          },
        ];
      }),
  );
  const passes = checks.map(({ name, ok, detail }) => ({
    name,
    detail,
    passes: Number(ok),
    fails: Number(!ok),
  }));
  await writeFile(file, `${JSON.stringify({ facts, metrics, root_group: { checks: passes } }, null, 2)}\n`);
}
