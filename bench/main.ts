// The benchmark from its command line to its exit code: servers of their own for each side in each scenario, rounds that
// go from side to side, a summary, thresholds, and the page.
// Promises: it ends within a time that is bounded for each scenario; the servers it starts are stopped and their data
// removed, also after Ctrl-C; a task that was lost or ran twice fails the run, however the thresholds come out.
import { OrchError } from '../src/protocol/index.ts';
import { HELP, parseCommandLine } from './command-line.ts';
import { checkFolders, natsServerOf, openBench } from './harness/bench.ts';
import { judge, Report } from './harness/report.ts';
import { ROUNDS } from './harness/scenario.ts';
import { OWN_FOLDER, readSummaries, writePage } from './page/index.ts';
import { scenarioOf } from './scenarios/index.ts';
import type { ScenarioName, Settings } from './settings.ts';
import type { OrchLibrary } from './sides/index.ts';
import { printHeader, printSummary, summaryOf, writeSummary } from './summary.ts';

export { runChild } from './processes/child.ts';
export { runOwner } from './processes/owner.ts';

/** k6's own exit codes where there is one. */
const EXIT = { ok: 0, checksFailed: 1, thresholdsCrossed: 99, invalidUsage: 104, interrupted: 105 };
/** Draining 20,000 tasks at the pace of a slow disk, on seven sides, takes a quarter of an hour. */
const SCENARIO_MS_MAX = 3_600_000;

/** Runs the benchmark and returns the exit code. */
export async function main(argv: readonly string[], orch: OrchLibrary): Promise<number> {
  let settings: Settings;
  let natsServer: string;
  try {
    settings = parseCommandLine(argv);
    if (settings.help) {
      process.stdout.write(HELP);
      return EXIT.ok;
    }
    if (settings.from.length > 0) {
      await writePage(settings.reportTo ?? OWN_FOLDER, await readSummaries(settings.from));
      return EXIT.ok;
    }
    await checkFolders(settings);
    natsServer = await natsServerOf(settings);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'usage' && !code?.startsWith('ERR_PARSE_ARGS_')) throw error;
    process.stderr.write(`${message}\ntry --help\n`);
    return EXIT.invalidUsage;
  }
  return run(settings, natsServer, orch);
}

async function run(settings: Settings, natsServer: string, orch: OrchLibrary): Promise<number> {
  const report = new Report(settings.thresholds);
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new OrchError('interrupted', 'interrupted'));
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    printHeader(settings);
    for (const sync of settings.syncs)
      for (const name of settings.scenarios) {
        await runScenario(name, sync, settings, natsServer, report, orch, interruption.signal);
        // A run of an hour that breaks near its end has not been for nothing.
        if (settings.summaryExport !== undefined)
          await writeSummary(settings.summaryExport, summaryOf(settings, report, judge(report)));
      }
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    process.stderr.write(`\n${(interruption.signal.reason as Error).message}\n`);
    return EXIT.interrupted;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  const verdicts = judge(report);
  printSummary(report, verdicts);
  if (settings.reportTo !== undefined)
    await writePage(settings.reportTo, [summaryOf(settings, report, verdicts)]);
  if (report.checks.some(check => !check.ok)) return EXIT.checksFailed;
  return verdicts.some(verdict => !verdict.ok) ? EXIT.thresholdsCrossed : EXIT.ok;
}

async function runScenario(
  name: ScenarioName,
  sync: string,
  settings: Settings,
  natsServer: string,
  report: Report,
  orch: OrchLibrary,
  interrupted: AbortSignal,
): Promise<void> {
  const scenario = scenarioOf(name);
  const { once } = scenario;
  if (once && sync !== settings.syncs.at(once.at === 'first' ? 0 : -1)) {
    report.absent.set(`${name} with sync ${sync}`, once.because);
    return;
  }
  const late = new AbortController();
  const overdue = () => late.abort(new OrchError('timeout', `${name} took longer than an hour`));
  const watchdog = setTimeout(overdue, SCENARIO_MS_MAX);
  const signal = AbortSignal.any([interrupted, late.signal]);
  const sides = settings.sides.filter(side => scenario.sides.includes(side));
  const leaseMs = scenario.leaseMs?.(settings.isSmoke);
  const lease = leaseMs === undefined ? {} : { leaseMs };
  const rounds = settings.rounds ?? scenario.rounds ?? ROUNDS;
  const bench = await openBench({ settings, natsServer, sync, rounds, sides, orch, report, ...lease });
  try {
    const section = report.section(`${name.toUpperCase()}, sync ${sync}: ${scenario.about}`, { sync });
    await Promise.race([scenario.run(bench, section, report), rejectedBy(signal)]);
  } finally {
    clearTimeout(watchdog);
    await bench.close();
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
