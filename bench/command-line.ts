// The command line: what can be set, its bounds, and the help.
import { parseArgs } from 'node:util';
import { OrchError, parseDuration } from '../src/protocol/index.ts';
import { aimsOf } from './aims.ts';
import { parseThreshold } from './harness/report.ts';
import { ROUNDS } from './harness/scenario.ts';
import { OWN_FOLDER } from './page/index.ts';
import { scenarioOf } from './scenarios/index.ts';
import {
  OWN_SIDES,
  PEERS,
  SCENARIO_NAMES,
  type ScenarioName,
  type Settings,
  type SideName,
  type Stage,
} from './settings.ts';

/** Where a run for the page keeps its summary. */
const SUMMARY = 'bench/out/summary.json';
const ROUNDS_MAX = 100;
const USERS_MAX = 1_000;
const RATE_MAX = 1_000;
const DURATION_MS_MAX = 600_000;

export const HELP = `Measures orch beside the least code that does the same on nats.js, and beside other queues, round by round.

Usage: npm run bench -- [scenario ...] [flags]

Scenarios (default: all)
${SCENARIO_NAMES.map(name => `  ${name.padEnd(12)}  ${scenarioOf(name).about}`).join('\n')}

Flags
  --peer name|all          also measure ${PEERS.join(', ')};
                           can be repeated; bench/peers/README.md lists what they need
  --sides a,b              some of ${OWN_SIDES.join(', ')} (default all; ratios need orch)
  --sync always|d[,...]    when servers sync writes to disk (default always); several run one after the other
  --rounds n               measured rounds (default ${ROUNDS}, fewer in scenarios that take long)
  --duration d             measured time of each side in a round (default 1s)
  --rate n                 tasks a second of the scenarios at a low rate (default 100)
  --levels n[,n...]        the sizes that the one scenario named goes through
  --vus n[,n...]           the same for throughput: virtual users, each with one task in flight (default 1,100)
  --stage d:n              instead of --duration: ramp to n tasks a second (n users in throughput) within d;
                           can be repeated
  --nats-server file       the server to run (default: as "orch up" finds it)
  --newer-server file      another one, which the scenario durable holds beside it
  --data folder            where servers keep their data (default: bench/out, beside the bundle)
  --threshold m:expr       one more threshold, such as 'dispatch_p99_ratio{to:bare}:med<=2'
  --no-thresholds          without the default ones, which are the aims in bench/aims.ts
  --summary-export file    the summary as JSON, written after each scenario (with --report: bench/out/summary.json)
  --report                 everything, all peers, --sync always,1s, then the page: bench/RESULTS.md, its plots, and
                           the benchmark in README.md
  --report-to folder       the page goes there instead, and README.md stays as it is
  --from file              no run: write the page from a summary; can be repeated
  --smoke                  one short round without default thresholds: does it run at all?
  --help

Exit codes
  0 all well   1 a task was lost or ran twice   99 a threshold was crossed   104 wrong usage   105 interrupted

Examples
  npm run bench
  npm run bench -- dispatch roundtrip --peer bullmq --sync 1s
  npm run bench -- throughput --vus 1,10,100 --duration 3s --summary-export throughput.json
  npm run bench -- throughput --stage 2s:50 --stage 2s:200 --rounds 3
  npm run bench -- backlog --sync 1s --levels 0,100000
  npm run bench -- --report
  npm run build && node --cpu-prof bench/run.js throughput --sides orch --vus 100 --rounds 1 --duration 10s
`;

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  smoke: { type: 'boolean' },
  peer: { type: 'string', multiple: true },
  sides: { type: 'string' },
  sync: { type: 'string' },
  rounds: { type: 'string' },
  duration: { type: 'string' },
  rate: { type: 'string' },
  levels: { type: 'string' },
  vus: { type: 'string' },
  stage: { type: 'string', multiple: true },
  'nats-server': { type: 'string' },
  'newer-server': { type: 'string' },
  data: { type: 'string' },
  threshold: { type: 'string', multiple: true },
  'no-thresholds': { type: 'boolean' },
  'summary-export': { type: 'string' },
  report: { type: 'boolean' },
  'report-to': { type: 'string' },
  from: { type: 'string', multiple: true },
} as const;

/** Reads the command line. Throws an Error with one line for a flag that cannot be used. */
export function parseCommandLine(argv: readonly string[]): Settings {
  const { values, positionals } = parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
  const { smoke: isSmoke = false, from = [] } = values;
  const scenarios =
    positionals.length > 0 ? words(positionals, SCENARIO_NAMES, 'scenario') : [...SCENARIO_NAMES];
  const isReport = values.report === true || values['report-to'] !== undefined;
  if (from.length > 0 && !isReport) throw new OrchError('usage', '--from needs --report or --report-to');
  if (isSmoke && values.report)
    throw new OrchError('usage', 'figures of a smoke run mean nothing: use --report-to with another folder');
  const settings: Settings = {
    help: values.help ?? false,
    isSmoke,
    scenarios,
    sides: [
      ...(values.sides === undefined ? OWN_SIDES : words(values.sides.split(','), OWN_SIDES, 'side')),
      ...peers(values.peer ?? (isReport ? ['all'] : [])),
    ],
    syncs: (values.sync ?? (isReport && !isSmoke ? 'always,1s' : 'always')).split(',').map(parseSync),
    rounds: roundsOf(values.rounds, isSmoke),
    durationMs: duration(values.duration ?? (isSmoke ? '150ms' : '1s'), '--duration'),
    stages: values.stage?.map(parseStage),
    levels: levelsOf(scenarios, values.levels, values.vus, isSmoke),
    ratePerSecond: whole(values.rate ?? '100', '--rate', RATE_MAX),
    natsServer: values['nats-server'],
    newerServer: values['newer-server'],
    data: values.data,
    thresholds: [],
    summaryExport: values['summary-export'] ?? (isReport ? SUMMARY : undefined),
    reportTo: values['report-to'] ?? (isReport ? OWN_FOLDER : undefined),
    from,
    command: ['npm run bench --', ...argv].join(' '),
  };
  if (!isSmoke && !values['no-thresholds']) settings.thresholds.push(...aimsOf(settings));
  settings.thresholds.push(...(values.threshold ?? []).map(parseThreshold));
  return settings;
}

function roundsOf(given: string | undefined, isSmoke: boolean): number | undefined {
  if (given !== undefined) return whole(given, '--rounds', ROUNDS_MAX);
  return isSmoke ? 1 : undefined;
}

function peers(given: readonly string[]): SideName[] {
  const names = given.flatMap(text => text.split(','));
  return names.includes('all') ? [...PEERS] : words(names, PEERS, 'peer');
}

function levelsOf(
  scenarios: readonly ScenarioName[],
  given: string | undefined,
  vus: string | undefined,
  isSmoke: boolean,
): Settings['levels'] {
  const entries = SCENARIO_NAMES.flatMap(name => {
    const { levels } = scenarioOf(name);
    return levels ? [[name, isSmoke ? levels.smoke : levels.all] as const] : [];
  });
  const all = Object.fromEntries(entries) as Settings['levels'];
  if (vus !== undefined) all.throughput = list(vus, '--vus', 1, USERS_MAX);
  if (given === undefined) return all;
  const [name, ...others] = scenarios;
  const levels = name && scenarioOf(name).levels;
  if (!levels || others.length > 0) {
    const leveled = entries.map(([entry]) => entry).join(', ');
    throw new OrchError('usage', `--levels is for one scenario at a time, of ${leveled}`);
  }
  return { ...all, [name]: list(given, '--levels', Math.min(1, ...levels.all), levels.max) };
}

const list = (text: string, flag: string, min: number, max: number): number[] =>
  text.split(',').map(one => whole(one, flag, max, min));

function parseStage(text: string): Stage {
  const [length = '', target = ''] = text.split(':');
  return { durationMs: duration(length, '--stage'), target: whole(target, '--stage', USERS_MAX) };
}

// In the words of the server's configuration.
function parseSync(text: string): string {
  if (text === 'always') return text;
  const ms = duration(text, '--sync');
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

function duration(text: string, flag: string): number {
  return parseDuration(text, flag, { minMs: 50, maxMs: DURATION_MS_MAX });
}

function whole(text: string, flag: string, max: number, min = 1): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isInteger(number) || number < min || number > max)
    throw new OrchError(
      'usage',
      `${flag} "${text}" is not allowed: use a whole number from ${min} to ${max}`,
    );
  return number;
}

function words<T extends string>(given: readonly string[], allowed: readonly T[], what: string): T[] {
  return given.map(word => {
    const known = allowed.find(name => name === word);
    if (!known) throw new OrchError('usage', `no ${what} "${word}": use ${allowed.join(', ')}`);
    return known;
  });
}
