// The fault runner from its command line to its exit code: 0 where every check held, 1 where one did not, 2 for a usage
// error, 130 when it was interrupted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { paths } from '../../src/config/index.ts';
import { messageOf } from '../../src/protocol/index.ts';
import { findServer } from '../../src/server/index.ts';
import { planLoad } from './load.ts';
import { Random } from './random.ts';
import { closingLine, judge, printVerdict, writeViolations } from './report.ts';
import { run } from './run.ts';
import { FAULT_KINDS, type FaultKind, planFaults } from './schedule.ts';

/** Over 10,000 in three minutes. */
const TASKS_PER_MINUTE = 3_600;
/** The room that a server's disk has for itself and for each task of the run. */
const DISK = { baseBytes: 96 * 2 ** 20, taskBytes: 16 * 2 ** 10 };

const HELP = `usage: npm run test:faults -- [--seed n] [--minutes m] [--servers 1|3] [--tasks n] [--faults a,b] [--deletes] [--json]

  --seed n       the load and the faults follow from it (default: a new one)
  --minutes m    how long faults are made (default 1)
  --servers n    1, or 3 that are one cluster (default 1)
  --tasks n      tasks to publish in that time (default ${TASKS_PER_MINUTE} a minute)
  --faults a,b   only these: ${FAULT_KINDS.join(', ')}
  --deletes      also delete streams, consumers and keys under live daemons
  --json         print the summary and the violations as JSON
`;

class UsageError extends Error {}

interface Settings {
  seed: number;
  minutes: number;
  servers: 1 | 3;
  tasks: number;
  kinds: FaultKind[];
  isJson: boolean;
}

/** Runs and returns the exit code. */
export async function main(argv: readonly string[], folder: string): Promise<number> {
  let settings: Settings | 'help';
  try {
    settings = parseSettings(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${HELP}`);
    return 2;
  }
  if (settings === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort()).once('SIGTERM', () => interruption.abort());
  return runOnce(settings, folder, interruption.signal);
}

async function runOnce(settings: Settings, folder: string, signal: AbortSignal): Promise<number> {
  const { seed, minutes, servers, kinds, isJson } = settings;
  const root = mkdtempSync(join(tmpdir(), `orch-faults-${seed}-`));
  const durationMs = Math.round(minutes * 60_000);
  const random = new Random(seed);
  const plan = {
    tasks: planLoad(random.fork('load'), settings.tasks, durationMs),
    faults: planFaults(random.fork('faults'), { durationMs, servers, kinds }),
    durationMs,
  };
  const began = performance.now();
  const report = (line: string) => {
    const elapsed = `+${((performance.now() - began) / 1_000).toFixed(1)}s`;
    (isJson ? process.stderr : process.stdout).write(`${elapsed.padStart(8)}  ${line}\n`);
  };
  const again = `npm run test:faults -- ${againFlags(settings)}`;
  report(`seed ${seed}: ${plan.tasks.length} tasks, ${plan.faults.length} faults; again: ${again}`);
  const { path: natsServer, version } = await findServer({
    given: process.env['ORCH_NATS_SERVER'],
    cacheDir: paths().cache,
    path: process.env['PATH'] ?? '',
  });
  report(`nats-server ${version}; logs in ${join(root, 'logs')}`);
  try {
    const options = {
      ...{ natsServer, servers, root, report },
      main: resolve('dist/main.js'),
      tasks: join(folder, 'tasks'),
      diskBytes: DISK.baseBytes + DISK.taskBytes * plan.tasks.length,
      cookie: `faults-${process.pid}-${seed}-${Date.now()}`,
    };
    const result = await run(plan, options, report, signal);
    const verdict = judge(result, { seed, servers, minutes, nats_server: version });
    const isGood = verdict.violations.length === 0;
    if (!isGood) writeViolations(join(root, 'logs'), verdict, result.facts.lines);
    if (isJson)
      process.stdout.write(`${JSON.stringify({ ...verdict.summary, again, found: verdict.violations })}\n`);
    else printVerdict(verdict, result.facts.lines);
    if (isGood) rmSync(root, { recursive: true, force: true });
    else report(`logs and violations.json kept in ${join(root, 'logs')}; again: ${again}`);
    const line = closingLine(verdict, performance.now() - began);
    (isJson ? process.stderr : process.stdout).write(`${line}\n`);
    return isGood ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) {
      report(`could not run: ${messageOf(error)}; logs kept in ${join(root, 'logs')}`);
      return 1;
    }
    rmSync(root, { recursive: true, force: true });
    return 130;
  }
}

function parseSettings(argv: readonly string[]): Settings | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      servers: { type: 'string', default: '1' },
      tasks: { type: 'string' },
      faults: { type: 'string' },
      deletes: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const minutes = numberIn(values.minutes, '--minutes', 0.1, 600);
  if (values.servers !== '1' && values.servers !== '3') throw new UsageError('--servers is 1 or 3');
  return {
    seed: values.seed === undefined ? Date.now() % 1_000_000 : numberIn(values.seed, '--seed', 0, 2 ** 32),
    minutes,
    servers: values.servers === '3' ? 3 : 1,
    tasks: Math.round(numberIn(values.tasks ?? String(TASKS_PER_MINUTE * minutes), '--tasks', 1, 90_000)),
    kinds: kindsOf(values.faults, values.deletes),
    isJson: values.json,
  };
}

function kindsOf(given: string | undefined, hasDeletes: boolean): FaultKind[] {
  if (given === undefined) return FAULT_KINDS.filter(kind => kind !== 'delete' || hasDeletes);
  return given
    .split(',')
    .filter(Boolean)
    .map(name => {
      const kind = FAULT_KINDS.find(known => known === name);
      if (kind) return kind;
      throw new UsageError(`--faults ${name} is unknown: use ${FAULT_KINDS.join(', ')}`);
    });
}

function numberIn(text: string, flag: string, min: number, max: number): number {
  const value = Number(text);
  if (text !== '' && value >= min && value <= max) return value;
  throw new UsageError(`${flag} ${text} is not a number from ${min} to ${max}`);
}

function againFlags({ seed, minutes, servers, tasks, kinds }: Settings): string {
  const all = ['--seed', seed, '--minutes', minutes, '--servers', servers, '--tasks', tasks];
  return [...all, '--faults', kinds.join(',')].join(' ');
}
