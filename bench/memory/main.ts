// The benchmark of an agent's memory, without a server: how the time of an answer grows with the records, and how good
// the answers are. It measures src/memory as bundled; the wire's part is in the scenarios of `npm run bench`.
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { MemoryBenchSettings } from '../settings.ts';
import { growth } from './growth.ts';
import { quality } from './quality.ts';
import { printReport, Report } from './report.ts';

const SCENARIOS = { growth, quality };
type ScenarioName = keyof typeof SCENARIOS;

const RECORDS_MAX = 1_000_000;
const QUERIES_MAX = 100_000;

const HELP = `Measures an agent's memory: time of answers by number of records, and their quality.

Usage: npm run bench:memory -- [scenario ...] [flags]

Scenarios (default: all)
  growth     recall, search and remember with more and more records
  quality    recall@10 and nDCG@10 on the questions in bench/data

Flags
  --records n[,n...]   sizes of growth, rising (default 1000,10000,100000; 1000000 takes half an hour)
  --queries n          questions at each size (default 200)
  --smoke              small sizes: does it run at all?
  --help
`;

/** Runs the benchmark and returns the exit code: 0, 1 for a failed check, 104 for wrong usage as k6 has it. */
export async function main(argv: readonly string[]): Promise<number> {
  let names: ScenarioName[];
  let settings: MemoryBenchSettings;
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        smoke: { type: 'boolean' },
        records: { type: 'string' },
        queries: { type: 'string' },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    names = positionals.length > 0 ? positionals.map(scenarioName) : ['growth', 'quality'];
    const sizes = values.records ?? (values.smoke ? '200,400' : '1000,10000,100000');
    settings = {
      sizes: sizes.split(',').map(text => count(text, 'records', RECORDS_MAX)),
      queries: count(values.queries ?? (values.smoke ? '5' : '200'), 'queries', QUERIES_MAX),
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\ntry --help\n`);
    return 104;
  }
  const report = new Report();
  report.facts = {
    node: `${process.version} ${process.platform} ${process.arch}`,
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, load ${loadavg()[0]?.toFixed(1)}`,
  };
  process.stdout.write(
    `\n${Object.entries(report.facts)
      .map(([name, text]) => `${name.padStart(14)}: ${text}\n`)
      .join('')}\n`,
  );
  for (const name of names) await SCENARIOS[name](settings, report);
  printReport(report);
  return report.checks.every(check => check.ok) ? 0 : 1;
}

function scenarioName(text: string): ScenarioName {
  if (Object.hasOwn(SCENARIOS, text)) return text as ScenarioName;
  throw new Error(`scenario ${JSON.stringify(text)} is not one of ${Object.keys(SCENARIOS).join(', ')}`);
}

function count(text: string, flag: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${flag} ${JSON.stringify(text)} is not a whole number from 1 to ${max}`);
}
