// cli: how long does a cold `orch publish-task` take, from the shell's view? Beside it a script that connects, writes
// what the bare side writes and closes, bundled in the same way; and node that does nothing, which both contain.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import type { Settings } from '../command-line.ts';
import type { Environment } from '../environment.ts';
import { median, metricOf, PerRound, type Report, Trend } from '../report.ts';
import { BARE_TASKS, provisionBare } from '../sides/index.ts';

const RUNS_PER_ROUND = 3;
const RUN_MS_MAX = 30_000;

const PROGRAMS = ['orch', 'bare', 'node'] as const;
type Program = (typeof PROGRAMS)[number];

export async function cli(environment: Environment, settings: Settings, report: Report): Promise<void> {
  const { orch, url, observer } = environment;
  const section = report.section('CLI: one cold process that publishes one task');
  const manager = await jetstreamManager(observer);
  await provisionBare(manager);
  await using bus = await orch.connect({ servers: [url] });
  await bus.provision();
  const commands: Record<Program, string[]> = {
    orch: [besideBundle('../../dist/main.js'), 'publish-task', '--server', url, 'true'],
    bare: [besideBundle('publish-once.js'), url],
    node: ['-e', '0'],
  };
  let runs = 0;
  for (let round = 0; round <= settings.rounds; round++) {
    const times: Record<Program, number[]> = { orch: [], bare: [], node: [] };
    for (let run = 0; run < RUNS_PER_ROUND; run++, runs++)
      for (const program of PROGRAMS) times[program].push(await runMs(commands[program]));
    // The first round fills the disk's caches and makes the lane.
    if (round === 0) continue;
    for (const program of PROGRAMS) {
      const trend = metricOf(section, `cli_duration{program:${program}}`, () => new Trend());
      for (const ms of times[program]) trend.add(ms);
    }
    const ratio = (other: Program) => median(times.orch) / median(times[other]);
    metricOf(section, 'cli_ratio{to:bare}', () => new PerRound('x')).add(ratio('bare'));
    metricOf(section, 'cli_ratio{to:node}', () => new PerRound('x')).add(ratio('node'));
  }
  for (const [program, stream] of [
    ['orch', 'ORCH_TASKS'],
    ['bare', BARE_TASKS],
  ] as const) {
    const { messages } = (await manager.streams.info(stream)).state;
    report.checks.push({
      name: `cli, ${program}: each run queued one task`,
      ok: messages === runs,
      detail: `${runs} runs, ${messages} queued`,
    });
  }
}

const besideBundle = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** From spawning node to its exit, in milliseconds. */
function runMs(args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: RUN_MS_MAX,
      // What is set for this process, a profiler say, is not for them.
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    child.once('error', reject).once('exit', code => {
      const ms = performance.now() - start;
      if (code === 0) resolve(ms);
      else reject(new Error(`node ${args.join(' ')} ended with ${code}`));
    });
  });
}
