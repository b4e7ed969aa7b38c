// `orch worker`: the daemon on each machine.
import { openBus } from '../bus/index.ts';
import { resolveServer } from '../config/index.ts';
import { command } from './command.ts';
import { connectionArgs } from './connection.ts';
import { openLog, untilStopped } from './daemon.ts';
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
    const connecting = setTimeout(
      () => log.warn({ servers: server.servers?.length ?? 1 }, 'no server answers yet; trying on'),
      3_000,
    );
    // A server that is not there yet is waited for; Ctrl-C must end that too.
    const giveUp = () => process.exit(130);
    process.once('SIGINT', giveUp).once('SIGTERM', giveUp);
    const bus = await openBus({ name: 'orch-worker', ...server, patient: true });
    clearTimeout(connecting);
    try {
      const running = await startWorker(bus, settings, log);
      process.off('SIGINT', giveUp).off('SIGTERM', giveUp);
      await untilStopped(hurry => running.stop(hurry ? 0 : settings.drainTimeoutMs));
    } finally {
      await bus.close();
    }
  },
});
