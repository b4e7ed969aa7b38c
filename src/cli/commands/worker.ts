// `orch worker`: the daemon of a machine.
import { type Bus, type BusOptions, DEFAULT_SERVER, openBus } from '../../bus/index.ts';
import { resolveServer, withConfigFile } from '../../config/index.ts';
import type { Logger } from '../../daemon/index.ts';
import { OrchError, withoutCredentials } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, provisionArgs } from '../connection.ts';
import { drain, openLog, startedUnless, stopSignals } from '../daemon.ts';
import { configArg, parseWorkerFlags, startDaemon, workerArgs } from '../worker-flags.ts';

export const worker = command({
  details: 'The first SIGTERM or Ctrl-C drains it, the second stops it now.',
  args: { ...workerArgs, ...configArg, ...provisionArgs, ...connectionArgs },
  examples: [
    'orch worker --caps freebsd,rust',
    'orch worker -s nats://10.0.0.1:4222 --caps claude --exec \'claude -p "$(cat)" --output-format stream-json --verbose\'',
    'orch worker --caps index --handler ./index-repo.js --concurrency 8',
  ],
  async run(args) {
    const flags = withConfigFile(args, args.config, workerArgs);
    const settings = parseWorkerFlags(flags);
    const log = await openLog(flags['log-level'], settings.node);
    const server = resolveServer(flags);
    const signals = stopSignals();
    const bus = await Promise.race([connect(server, log), signals.first]);
    if (bus === 'signal') throw new OrchError('interrupted', 'stopped before a server answered');
    try {
      const running = await startedUnless(startDaemon(bus, settings, log), signals);
      if (!running)
        throw new OrchError('interrupted', 'stopped before the node was ready: the server did not answer');
      const ended = await Promise.race([signals.first, running.daemon.taken]);
      await drain(running, settings.drainTimeoutMs, signals);
      if (ended !== 'signal') throw ended;
    } finally {
      await bus.close();
    }
  },
});

// Waits for a server that is not up yet.
async function connect(server: BusOptions, log: Logger): Promise<Bus> {
  const timer = setTimeout(
    () =>
      log.warn(
        { servers: (server.servers ?? [DEFAULT_SERVER]).map(withoutCredentials) },
        'no server answers yet; retrying',
      ),
    3_000,
  );
  const bus = await openBus({ name: 'orch-worker', ...server, patient: true });
  clearTimeout(timer);
  return bus;
}
