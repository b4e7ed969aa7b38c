// The benchmark from its command line to its exit code: a server of its own for each scenario, rounds that alternate
// between orch and the least code that does the same, a summary, thresholds.
// Promises: it ends within a time that is known from its flags; the server it starts is stopped and its data removed,
// also after Ctrl-C; a task that was lost or ran twice fails the run whatever the thresholds say.
import { OrchError } from '../src/protocol/index.ts';
import { HELP, parseCommandLine, type Settings } from './command-line.ts';
import { type Environment, openEnvironment } from './environment.ts';
import { judge, Report } from './report.ts';
import { SCENARIOS } from './scenarios/index.ts';
import type { OrchLibrary } from './sides/index.ts';
import { exportSummary, printHeader, printSummary } from './summary.ts';

/** k6's own exit codes where there is one. */
const EXIT = { ok: 0, checksFailed: 1, thresholdsCrossed: 99, invalidUsage: 104, interrupted: 105 };

/** Runs the benchmark and returns the exit code. */
export async function main(argv: readonly string[], orch: OrchLibrary): Promise<number> {
  let settings: Settings;
  try {
    settings = parseCommandLine(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\ntry --help\n`);
    return EXIT.invalidUsage;
  }
  if (settings.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const report = new Report(settings.thresholds);
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new OrchError('interrupted', 'interrupted'));
  const watchdog = setTimeout(
    () => interruption.abort(new OrchError('timeout', 'the run took far longer than its stages')),
    timeLimitMs(settings),
  );
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    for (const [index, name] of settings.scenarios.entries())
      await runScenario(name, index === 0, settings, report, orch, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    process.stderr.write(`\n${(interruption.signal.reason as Error).message}\n`);
    return EXIT.interrupted;
  } finally {
    clearTimeout(watchdog);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  const verdicts = judge(report);
  printSummary(report, verdicts);
  if (settings.summaryExport !== undefined) await exportSummary(settings.summaryExport, report, verdicts);
  if (report.checks.some(check => !check.ok)) return EXIT.checksFailed;
  return verdicts.some(verdict => !verdict.ok) ? EXIT.thresholdsCrossed : EXIT.ok;
}

// A server for each scenario, so that none works on what another left behind.
async function runScenario(
  name: keyof typeof SCENARIOS,
  isFirst: boolean,
  settings: Settings,
  report: Report,
  orch: OrchLibrary,
  signal: AbortSignal,
): Promise<void> {
  const environment: Environment = await openEnvironment(settings, orch, signal);
  try {
    report.facts = environment.facts;
    if (isFirst) printHeader(environment, settings);
    await Promise.race([SCENARIOS[name](environment, settings, report), rejectedBy(signal)]);
  } finally {
    await environment.close();
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

// Twice what the stages ask for, and a minute for starts, checks and a machine that is busy.
function timeLimitMs({ scenarios, rounds, durationMs, stages, vus, sides }: Settings): number {
  const segmentMs = (stages ? stages.reduce((sum, stage) => sum + stage.durationMs, 0) : durationMs) + 500;
  return 60_000 + 2 * scenarios.length * (rounds + 1) * segmentMs * vus.length * sides.length;
}
