// The flags of a worker, shared by `orch worker` and `orch up`, and the worker that they describe.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bus, isAlive } from '../bus/index.ts';
import { environment, paths } from '../config/index.ts';
import {
  messageOf,
  OrchError,
  parseCapabilities,
  parseDuration,
  parseId,
  quoted,
} from '../protocol/index.ts';
import {
  CONCURRENCY_MAX,
  execRunner,
  type Handler,
  handlerRunner,
  type Logger,
  type Runner,
  Worker,
} from '../worker/index.ts';
import { parseWhole } from './task-flags.ts';

/** What runs a task when nothing is said: its input is a shell script. */
const DEFAULT_COMMAND = 'sh';

export const workerArgs = {
  caps: { type: 'string', valueHint: 'a,b', description: 'what this machine can do, such as freebsd,rust' },
  exec: {
    type: 'string',
    valueHint: 'command',
    description: 'runs a task; its input is on stdin (default "sh": the input is a script)',
  },
  handler: {
    type: 'string',
    valueHint: 'module',
    description: 'runs a task in process: the function that a module exports as `handler`',
  },
  concurrency: { type: 'string', valueHint: 'n', description: 'tasks at once (default 1)' },
  node: {
    type: 'string',
    valueHint: 'id',
    description: "this worker's name (default: host name and process id)",
  },
  'drain-timeout': {
    type: 'string',
    valueHint: 'duration',
    description: 'how long running tasks get after SIGTERM or Ctrl-C (default 30s)',
  },
  grace: {
    type: 'string',
    valueHint: 'duration',
    description: 'from SIGTERM to SIGKILL for a command that is stopped (default 10s)',
  },
  'keep-work': { type: 'boolean', description: 'leave the work folders of attempts behind' },
  'log-level': {
    type: 'string',
    valueHint: 'level',
    description: 'debug, info, warn or error (default info)',
  },
} as const;

export type WorkerFlags = {
  [K in keyof typeof workerArgs]?: (typeof workerArgs)[K]['type'] extends 'boolean'
    ? boolean | undefined
    : string | undefined;
};

/** The checked flags. Throws `usage`. */
export function parseWorkerFlags(flags: WorkerFlags) {
  if (flags.exec !== undefined && flags.handler !== undefined)
    throw new OrchError('usage', '--exec and --handler cannot be used together');
  return {
    capabilities: parseCapabilities(flags.caps ?? ''),
    concurrency:
      flags.concurrency === undefined
        ? 1
        : parseWhole(flags.concurrency, '--concurrency', 1, CONCURRENCY_MAX),
    ...(flags.node === undefined ? {} : { node: parseId(flags.node, '--node') }),
    drainTimeoutMs: parseDuration(flags['drain-timeout'] ?? '30s', '--drain-timeout', { maxMs: 86_400_000 }),
    graceMs: parseDuration(flags.grace ?? '10s', '--grace', { maxMs: 3_600_000 }),
    command: flags.exec ?? DEFAULT_COMMAND,
    handler: flags.handler,
    keepWork: flags['keep-work'] === true,
  };
}

/** Starts the worker that the flags describe. Throws `usage` for a module without a handler. */
export async function startWorker(
  bus: Bus,
  settings: ReturnType<typeof parseWorkerFlags>,
  logger: Logger,
): Promise<Worker> {
  const runner =
    settings.handler === undefined
      ? await commandRunner(settings)
      : handlerRunner(await loadHandler(settings.handler));
  const worker = new Worker(bus, { ...settings, runner, logger });
  await worker.start();
  return worker;
}

async function commandRunner({
  command,
  graceMs,
  keepWork,
}: ReturnType<typeof parseWorkerFlags>): Promise<Runner> {
  const root = join(paths().data, 'work');
  await mkdir(root, { recursive: true });
  if (!keepWork) await removeLeftovers(root);
  return execRunner({
    command,
    graceMs,
    keepWork,
    env: environment(),
    workDir: join(root, String(process.pid)),
  });
}

// Folders are named by the process that made them: those of workers that were killed are nobody's.
async function removeLeftovers(root: string): Promise<void> {
  for (const pid of await readdir(root)) {
    if (/^\d+$/.test(pid) && !isAlive(Number(pid)))
      await rm(join(root, pid), { recursive: true, force: true });
  }
}

async function loadHandler(module: string): Promise<Handler> {
  let loaded: { handler?: unknown; default?: unknown };
  try {
    loaded = await import(pathToFileURL(resolve(module)).href);
  } catch (error) {
    throw new OrchError('usage', `--handler ${quoted(module)} cannot be loaded: ${messageOf(error)}`);
  }
  const handler = loaded.handler ?? loaded.default;
  if (typeof handler === 'function') return handler as Handler;
  throw new OrchError('usage', `--handler ${quoted(module)} exports no function \`handler\``, {
    advice: 'export function handler(task, { signal, log, progress }) { ... }',
  });
}
