// `orch worker`: the daemon on each machine.
import { type Bus, type BusOptions, DEFAULT_SERVER, openBus, withoutCredentials } from '../bus/index.ts';
import { resolveServer } from '../config/index.ts';
import { OrchError } from '../protocol/index.ts';
import type { Logger } from '../worker/index.ts';
import { command } from './command.ts';
import { connectionArgs } from './connection.ts';
import { drain, openLog, stopSignals } from './daemon.ts';
import { parseWorkerFlags, startWorker, workerArgs } from './worker-flags.ts';

export const worker = command({
  name: 'worker',
  description:
    'Run the tasks that this machine is capable of, until SIGTERM or Ctrl-C drains it; a second one stops it now.',
  args: { ...workerArgs, ...connectionArgs },
  examples: [
    'orch worker --caps freebsd,rust',
    'orch worker -s nats://10.0.0.1:4222 --caps claude --exec \'claude -p "$(cat)" --output-format stream-json --verbose\'',
    'orch worker --caps index --handler ./index-repo.js --concurrency 8',
  ],
  async run(args) {
    const settings = parseWorkerFlags(args);
    const log = await openLog(args['log-level']);
    const server = resolveServer(args);
    const signals = stopSignals();
    const bus = await Promise.race([connect(server, log), signals.first]);
    if (bus === 'signal') throw new OrchError('interrupted', 'stopped while no server answered');
    try {
      const running = await startWorker(bus, settings, log);
      await signals.first;
      await drain(running, settings.drainTimeoutMs, signals);
    } finally {
      await bus.close();
    }
  },
});

// A server that is not there yet is waited for.
async function connect(server: BusOptions, log: Logger): Promise<Bus> {
  const timer = setTimeout(
    () =>
      log.warn(
        { servers: (server.servers ?? [DEFAULT_SERVER]).map(withoutCredentials) },
        'no server answers yet; trying on',
      ),
    3_000,
  );
  const bus = await openBus({ name: 'orch-worker', ...server, patient: true });
  clearTimeout(timer);
  return bus;
}
