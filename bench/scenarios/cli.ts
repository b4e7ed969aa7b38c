// cli: how long does a cold `orch publish-task` take, from the shell's view? Beside it a script that connects, writes
// what the bare side writes and closes, bundled in the same way; and node that does nothing, which both contain.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from '../harness/report.ts';
import type { Scenario } from '../harness/scenario.ts';

const RUNS_PER_ROUND = 3;
const RUN_MS_MAX = 30_000;

const PROGRAMS = ['orch', 'bare', 'node'] as const;
type Program = (typeof PROGRAMS)[number];

export const cli: Scenario = {
  about: 'a cold "orch publish-task" beside a script that does the same, and beside "node -e 0"',
  sides: ['orch', 'bare'],
  once: { at: 'first', because: 'one write hardly shows it' },
  async run(bench, section, report) {
    const urlOf = (name: Program) => bench.contestants.find(({ side }) => side.name === name)?.served.url;
    const [orchUrl, bareUrl] = [urlOf('orch'), urlOf('bare')];
    const commands: [Program, string[]][] = [['node', ['-e', '0']]];
    if (bareUrl) commands.unshift(['bare', [besideBundle('publish-once.js'), bareUrl]]);
    const publish = [besideBundle('../../dist/main.js'), 'publish-task', '--server', orchUrl ?? '', 'true'];
    if (orchUrl) commands.unshift(['orch', publish]);
    let runs = 0;
    for (let round = 0; round <= bench.rounds; round++) {
      const times: Record<Program, number[]> = { orch: [], bare: [], node: [] };
      for (let run = 0; run < RUNS_PER_ROUND; run++, runs++)
        for (const [program, args] of commands) times[program].push(await runMs(args));
      // The first round fills the disk's caches and makes the lane.
      if (round === 0) continue;
      for (const [side] of commands) {
        const trend = section.trend('cli_duration', { side });
        for (const ms of times[side]) trend.add(ms);
      }
      section.figures('cli', 'ms', new Map(commands.map(([program]) => [program, median(times[program])])));
    }
    for (const { side, served } of bench.contestants) {
      const queued = await side.left(served.url);
      const name = `cli (${bench.sync}), ${side.name}: each run queued one task`;
      report.check(name, queued === runs, `${runs} runs, ${queued} queued`);
    }
  },
};

const besideBundle = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** From spawning node to its exit, in milliseconds. */
function runMs(args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: RUN_MS_MAX,
      // What is set for this process, such as a profiler, is not for them.
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    child.once('error', reject).once('exit', code => {
      const ms = performance.now() - start;
      if (code === 0) resolve(ms);
      else reject(new Error(`node ${args.join(' ')} ended with ${code}`));
    });
  });
}
