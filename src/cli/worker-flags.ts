// The flags of a worker, shared by `orch worker` and `orch up`, and how they become a daemon.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseAgents } from '../agents/index.ts';
import type { Bus } from '../bus/index.ts';
import { env, environment, memoryDir, paths } from '../config/index.ts';
import {
  CONCURRENCY_MAX,
  Daemon,
  defaultNode,
  execRunner,
  type Handler,
  type HealthServer,
  handlerRunner,
  type Logger,
  loadMetrics,
  type Runner,
  serveHealth,
} from '../daemon/index.ts';
import { type Embedder, openAiEmbedder } from '../memory/index.ts';
import { isAlive } from '../process/index.ts';
import {
  EXPIRY_MS_DEFAULT,
  EXPIRY_MS_MAX,
  EXPIRY_MS_MIN,
  formatDuration,
  HEARTBEAT_MS_DEFAULT,
  HEARTBEAT_MS_MIN,
  messageOf,
  OrchError,
  parseCapabilities,
  parseDuration,
  parseId,
  quoted,
} from '../protocol/index.ts';
import { parseInteger, parseLabels } from './task-flags.ts';

/** Runs a task without --exec and --handler: its input is a shell script. */
const DEFAULT_COMMAND = 'sh';

export const workerArgs = {
  caps: {
    type: 'string',
    valueHint: 'a,b',
    description: 'capabilities of this machine, such as freebsd,rust (default none)',
  },
  exec: {
    type: 'string',
    valueHint: 'command',
    description:
      'command that runs a task, with its input on stdin (default sh, which runs the input as a script)',
  },
  handler: {
    type: 'string',
    valueHint: 'module',
    description: 'module that exports a function `handler` to run tasks in process (default none)',
  },
  concurrency: { type: 'string', valueHint: 'n', description: 'tasks at once (default 1)' },
  node: {
    type: 'string',
    valueHint: 'id',
    description: 'node id (default host name and process id)',
  },
  agents: {
    type: 'string',
    valueHint: 'a,b:shared',
    description: 'agents that this node owns: name, name:shared, name:group=ops (default none)',
  },
  'memory-dir': {
    type: 'string',
    valueHint: 'folder',
    description: "folder of the agents' memories (default in the user's data folder)",
  },
  embedder: {
    type: 'string',
    valueHint: 'url',
    description:
      'OpenAI-compatible address for recall by meaning, such as http://127.0.0.1:11434/v1; key in ORCH_EMBEDDER_KEY (default none)',
  },
  'embedder-model': {
    type: 'string',
    valueHint: 'name',
    description: 'model of the embedder, such as nomic-embed-text',
  },
  labels: {
    type: 'string',
    valueHint: 'k=v,k=v',
    description: 'free labels of this node (default none)',
  },
  heartbeat: {
    type: 'string',
    valueHint: 'duration',
    description: 'interval between heartbeats (default 5s)',
  },
  expiry: {
    type: 'string',
    valueHint: 'duration',
    description: 'time without a heartbeat until this node is lost (default 15s)',
  },
  'drain-timeout': {
    type: 'string',
    valueHint: 'duration',
    description: 'time limit for running tasks after SIGTERM or Ctrl-C (default 30s)',
  },
  grace: {
    type: 'string',
    valueHint: 'duration',
    description: 'time from SIGTERM to SIGKILL for a command that is stopped (default 10s)',
  },
  'metrics-port': {
    type: 'string',
    valueHint: '[address:]port',
    description: 'serve /metrics, /healthz and /readyz there, on 127.0.0.1 without an address (default off)',
  },
  'keep-work': { type: 'boolean', description: 'keep the work folders of attempts' },
  'log-level': {
    type: 'string',
    valueHint: 'level',
    description: 'debug, info, warn or error (default info)',
  },
} as const;

export const configArg = {
  config: {
    type: 'string',
    valueHint: 'file',
    description:
      'JSON file with any of these flags (default ORCH_CONFIG, then config.json in the config folder)',
  },
} as const;

export type WorkerFlags = {
  [K in keyof typeof workerArgs]?: (typeof workerArgs)[K]['type'] extends 'boolean'
    ? boolean | undefined
    : string | undefined;
};

/** Parses and checks the flags. Throws `usage`. */
export function parseWorkerFlags(flags: WorkerFlags) {
  if (flags.exec !== undefined && flags.handler !== undefined)
    throw new OrchError('usage', '--exec and --handler cannot be used together');
  return {
    capabilities: parseCapabilities(flags.caps ?? ''),
    concurrency:
      flags.concurrency === undefined
        ? 1
        : parseInteger(flags.concurrency, '--concurrency', 1, CONCURRENCY_MAX),
    node: flags.node === undefined ? defaultNode() : parseId(flags.node, '--node'),
    metrics: parseAddress(flags['metrics-port']),
    ownedAgents: parseAgents(flags.agents ?? ''),
    memory: parseMemory(flags),
    labels: parseLabels(flags.labels ?? ''),
    ...parsePresence(flags),
    drainTimeoutMs: parseDuration(flags['drain-timeout'] ?? '30s', '--drain-timeout', { maxMs: 86_400_000 }),
    graceMs: parseDuration(flags.grace ?? '10s', '--grace', { maxMs: 3_600_000 }),
    command: flags.exec ?? DEFAULT_COMMAND,
    handler: flags.handler,
    keepWork: flags['keep-work'] === true,
  };
}

/**
 * Starts the daemon that the flags describe. Throws `usage` for a module without a handler, `conflict` when another
 * live node has the same id.
 */
export async function startDaemon(
  bus: Bus,
  settings: ReturnType<typeof parseWorkerFlags>,
  logger: Logger,
): Promise<{ daemon: Daemon; health: HealthServer | undefined }> {
  const runner =
    settings.handler === undefined
      ? await commandRunner(settings, bus)
      : handlerRunner(await loadHandler(settings.handler));
  if (settings.metrics === undefined) {
    const daemon = new Daemon(bus, { ...settings, runner, logger });
    await daemon.start();
    return { daemon, health: undefined };
  }
  const metrics = await loadMetrics();
  const daemon = new Daemon(bus, { ...settings, runner, logger, telemetry: metrics });
  metrics.watch(daemon, bus);
  const health = await serveHealth(settings.metrics, { daemon, bus, metrics });
  logger.info({ url: health.url }, 'metrics and health');
  try {
    await daemon.start();
  } catch (error) {
    await health.stop();
    throw error;
  }
  return { daemon, health };
}

function parseMemory(flags: WorkerFlags): { dir: string; embedder?: Embedder } {
  const dir = flags['memory-dir'] ?? memoryDir();
  const { embedder: url, 'embedder-model': model } = flags;
  if (url === undefined && model === undefined) return { dir };
  if (url === undefined || model === undefined)
    throw new OrchError('usage', '--embedder and --embedder-model must be used together');
  const apiKey = env('ORCH_EMBEDDER_KEY');
  return { dir, embedder: openAiEmbedder({ url, model, ...(apiKey === undefined ? {} : { apiKey }) }) };
}

function parseAddress(text: string | undefined): { host: string; port: number } | undefined {
  if (text === undefined) return undefined;
  const colon = text.lastIndexOf(':');
  const host = colon < 0 ? '127.0.0.1' : text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  if (host === '')
    throw new OrchError('usage', `--metrics-port ${quoted(text)} is not allowed: use 9464 or 0.0.0.0:9464`);
  return { host, port: parseInteger(text.slice(colon + 1), '--metrics-port', 0, 65_535) };
}

function parsePresence(flags: WorkerFlags): { heartbeatMs: number; expiryMs: number } {
  const heartbeatMs = parseDuration(flags.heartbeat ?? `${HEARTBEAT_MS_DEFAULT}ms`, '--heartbeat', {
    minMs: HEARTBEAT_MS_MIN,
    maxMs: EXPIRY_MS_MAX / 2,
  });
  const expiryMs = parseDuration(
    flags.expiry ?? `${Math.max(EXPIRY_MS_DEFAULT, 3 * heartbeatMs)}ms`,
    '--expiry',
    { minMs: EXPIRY_MS_MIN, maxMs: EXPIRY_MS_MAX },
  );
  if (expiryMs >= 2 * heartbeatMs) return { heartbeatMs, expiryMs };
  throw new OrchError(
    'usage',
    `--expiry ${formatDuration(expiryMs)} is too short for a heartbeat of ${formatDuration(heartbeatMs)}: use at least ${formatDuration(2 * heartbeatMs)}`,
  );
}

async function commandRunner(
  { command, graceMs, keepWork }: ReturnType<typeof parseWorkerFlags>,
  bus: Bus,
): Promise<Runner> {
  const root = join(paths().data, 'work');
  await mkdir(root, { recursive: true });
  if (!keepWork) await removeLeftovers(root);
  return execRunner({
    command,
    graceMs,
    keepWork,
    env: environment(),
    serverUrls: bus.server.urls,
    workDir: join(root, String(process.pid)),
  });
}

// Folders are named by the process that made them; removes those of processes that no longer run.
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
