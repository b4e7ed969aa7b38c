// What a scenario runs in: each side with a server of its own, so that memory and disk are its own too, and the facts
// that figures depend on.
import { access, chmod, constants, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { env, paths } from '../../src/config/index.ts';
import { messageOf, OrchError } from '../../src/protocol/index.ts';
import { findServer } from '../../src/server/index.ts';
import type { Settings, SideName } from '../settings.ts';
import { isAbsent, loadSide, type OrchLibrary, type Served, type Side } from '../sides/index.ts';
import type { Report } from './report.ts';

/** A side and its server. */
export interface Contestant {
  side: Side;
  served: Served;
}

export interface Bench {
  orch: OrchLibrary;
  settings: Settings;
  sync: string;
  /** Measured rounds. */
  rounds: number;
  contestants: readonly Contestant[];
  natsServer: string;
  /** A folder for servers that a scenario starts itself. */
  dataDir: string;
  close(): Promise<void>;
}

export interface BenchOptions {
  settings: Settings;
  natsServer: string;
  sync: string;
  rounds: number;
  /** Those of the settings' sides that the scenario can use. */
  sides: readonly SideName[];
  leaseMs?: number;
  orch: OrchLibrary;
  report: Report;
}

/** The folder of the bundle. Data lie beside it, on a real disk: a temporary folder in memory has nothing to sync. */
const OUT = dirname(fileURLToPath(import.meta.url));

/** The nats-server to run. Throws an OrchError where one that was named does not run. */
export async function natsServerOf({ natsServer, newerServer }: Settings): Promise<string> {
  const where = { cacheDir: paths().cache, path: env('PATH') ?? '' };
  if (newerServer !== undefined) await findServer({ ...where, given: newerServer });
  return (await findServer({ ...where, given: natsServer ?? env('ORCH_NATS_SERVER') })).path;
}

/** Whether what the run writes can be written. Throws an OrchError where a folder is not there, or is not ours. */
export async function checkFolders({ data, summaryExport }: Settings): Promise<void> {
  const folders = { '--data': data, '--summary-export': summaryExport && dirname(summaryExport) };
  for (const [flag, folder] of Object.entries(folders)) {
    if (folder === undefined) continue;
    await access(folder, constants.W_OK).catch(error => {
      throw new OrchError('usage', `${flag}: cannot write into ${folder}: ${messageOf(error)}`);
    });
  }
}

/** Starts the servers. `close` stops them and removes their data. */
export async function openBench(options: BenchOptions): Promise<Bench> {
  const { settings, natsServer, sync, rounds, sides, orch, report } = options;
  const dataDir = await mkdtemp(join(settings.data ?? OUT, 'data-'));
  // PostgreSQL runs as another user and must be able to reach its folder in there.
  await chmod(dataDir, 0o711);
  const contestants: Contestant[] = [];
  const close = async () => {
    await Promise.all(contestants.map(({ served }) => served.stop()));
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  };
  Object.assign(report.facts, machineFacts());
  try {
    for (const name of sides) {
      if (report.absent.has(name)) continue;
      const folder = join(dataDir, name);
      await mkdir(folder);
      const lease = options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs };
      try {
        const side = await loadSide(name, orch);
        const served = await side.serve({ dataDir: folder, sync, natsServer, ...lease });
        contestants.push({ side, served });
        report.facts[`${name}, ${sync}`] = served.facts;
      } catch (error) {
        if (!isAbsent(error)) throw error;
        report.absent.set(name, error.message);
        process.stderr.write(`absent: ${error.message}\n`);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { orch, settings, sync, rounds, contestants, natsServer, dataDir, close };
}

const machineFacts = (): Record<string, string> => ({
  date: new Date().toISOString(),
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, load ${loadavg()[0]?.toFixed(1)}`,
  memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
  system: `${process.platform} ${process.arch} ${release()}`,
  node: process.version,
});
