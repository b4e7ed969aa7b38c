// The command line: what can be set, its bounds, and the help.
import { parseArgs } from 'node:util';
import { OrchError, parseDuration } from '../src/protocol/index.ts';
import type { Stage } from './load.ts';
import { parseThreshold, type Threshold } from './report.ts';
import type { ScenarioName } from './scenarios/index.ts';
import type { SideName } from './sides/index.ts';

const SCENARIO_NAMES: readonly ScenarioName[] = ['dispatch', 'throughput', 'cli'];
const SIDE_NAMES: readonly SideName[] = ['orch', 'bare', 'floor'];

/** Everything a run depends on. */
export interface Settings {
  help: boolean;
  scenarios: ScenarioName[];
  /** Measured rounds; one more, which is not counted, warms up. */
  rounds: number;
  /** Measured time of one side in one round. */
  durationMs: number;
  /** Replaces the duration: a ramp of arrivals per second (dispatch) or of virtual users (throughput). */
  stages: Stage[] | undefined;
  /** Virtual users of the throughput scenario, one level after the other. */
  vus: number[];
  /** Tasks per second of the dispatch scenario. */
  ratePerSecond: number;
  sides: SideName[];
  sync: string;
  natsServer: string | undefined;
  thresholds: Threshold[];
  summaryExport: string | undefined;
}

const ROUNDS_MAX = 100;
const VUS_MAX = 1_000;
const RATE_MAX = 1_000;
const DURATION_MS_MAX = 600_000;

export const HELP = `Measures orch beside the least code that does the same on nats.js, in one run, round by round.

Usage: npm run bench -- [scenario ...] [flags]

Scenarios (default: all)
  dispatch      from publishing to the start of the handler, one task at a time
  throughput    tasks a second from publishing to acknowledged, with 1 and with 100 in flight
  cli           a cold "orch publish-task" beside a script that does the same, and beside "node -e 0"

Flags
  --rounds n               measured rounds (default 7)
  --duration d             measured time of each side in a round (default 1s)
  --vus n[,n...]           virtual users of throughput, each with one task in flight (default 1,100)
  --rate n                 tasks a second of dispatch (default 100)
  --stage d:n              instead of --duration: ramp to n users (throughput) or n tasks a second (dispatch)
                           within d; can be repeated
  --sync always|d          when the server syncs writes to disk (default always)
  --sides a,b              some of orch, bare, floor (default all; ratios need orch and bare)
  --nats-server file       the server to run (default: as "orch up" finds it)
  --threshold m:expr       one more threshold, such as 'dispatch_p99_ratio:med<=2'
  --no-thresholds          without the default ones: dispatch_p50_ratio:med<=1.5,
                           throughput_ratio{in_flight:100}:med>=0.6
  --summary-export file    the summary as JSON
  --smoke                  one short round without default thresholds: does it run at all?
  --help

Exit codes
  0 all well   1 a task was lost or ran twice   99 a threshold was crossed   104 wrong usage   105 interrupted

Examples
  npm run bench
  npm run bench -- dispatch --rounds 9 --sync 1s
  npm run bench -- throughput --vus 1,10,100 --duration 3s --summary-export throughput.json
  npm run bench -- throughput --stage 2s:50 --stage 2s:200 --rounds 3
  npm run build && node --cpu-prof bench/run.js throughput --sides orch --vus 100 --rounds 1 --duration 10s
`;

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  smoke: { type: 'boolean' },
  rounds: { type: 'string' },
  duration: { type: 'string' },
  stage: { type: 'string', multiple: true },
  vus: { type: 'string' },
  rate: { type: 'string' },
  sync: { type: 'string' },
  sides: { type: 'string' },
  'nats-server': { type: 'string' },
  threshold: { type: 'string', multiple: true },
  'no-thresholds': { type: 'boolean' },
  'summary-export': { type: 'string' },
} as const;

/** Reads the command line. Throws an Error with one line for a flag that cannot be used. */
export function parseCommandLine(argv: readonly string[]): Settings {
  const { values, positionals } = parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
  const scenarios = positionals.length > 0 ? words(positionals, SCENARIO_NAMES, 'scenario') : SCENARIO_NAMES;
  const { smoke = false } = values;
  const settings: Settings = {
    help: values.help ?? false,
    scenarios: [...scenarios],
    rounds: whole(values.rounds ?? (smoke ? '1' : '7'), '--rounds', ROUNDS_MAX),
    durationMs: duration(values.duration ?? (smoke ? '250ms' : '1s'), '--duration'),
    stages: values.stage?.map(parseStage),
    vus: (values.vus ?? (smoke ? '1,20' : '1,100')).split(',').map(text => whole(text, '--vus', VUS_MAX)),
    ratePerSecond: whole(values.rate ?? '100', '--rate', RATE_MAX),
    sides: values.sides === undefined ? [...SIDE_NAMES] : words(values.sides.split(','), SIDE_NAMES, 'side'),
    sync: parseSync(values.sync),
    natsServer: values['nats-server'],
    thresholds: [],
    summaryExport: values['summary-export'],
  };
  if (!smoke && !values['no-thresholds']) settings.thresholds.push(...defaultThresholds(settings));
  settings.thresholds.push(...(values.threshold ?? []).map(parseThreshold));
  return settings;
}

// Those on what the flags leave in the run.
function defaultThresholds({ scenarios, sides, stages, vus }: Settings): Threshold[] {
  if (!sides.includes('orch') || !sides.includes('bare')) return [];
  const thresholds: string[] = [];
  if (scenarios.includes('dispatch')) thresholds.push('dispatch_p50_ratio:med<=1.5');
  if (scenarios.includes('throughput') && !stages && vus.includes(100))
    thresholds.push('throughput_ratio{in_flight:100}:med>=0.6');
  return thresholds.map(parseThreshold);
}

function parseStage(text: string): Stage {
  const [length = '', target = ''] = text.split(':');
  return { durationMs: duration(length, '--stage'), target: whole(target, '--stage', VUS_MAX) };
}

function parseSync(text = 'always'): string {
  return text === 'always' ? text : `${duration(text, '--sync')}ms`;
}

function duration(text: string, flag: string): number {
  return parseDuration(text, flag, { minMs: 50, maxMs: DURATION_MS_MAX });
}

function whole(text: string, flag: string, max: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > max)
    throw new OrchError('usage', `${flag} "${text}" is not allowed: use a whole number from 1 to ${max}`);
  return number;
}

function words<T extends string>(given: readonly string[], allowed: readonly T[], what: string): T[] {
  return given.map(word => {
    const known = allowed.find(name => name === word);
    if (!known) throw new OrchError('usage', `no ${what} "${word}": use ${allowed.join(', ')}`);
    return known;
  });
}
