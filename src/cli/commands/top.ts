// `orch top`: the cluster, live and full-screen. Only this command loads what draws.
import { env } from '../../config/index.ts';
import { OrchError } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { actorArg, actorOf, connectionArgs, withBus } from '../connection.ts';
import { isTerminal } from '../print.ts';

export const top = command({
  details:
    'Shows nodes, lanes, running tasks with their last line, and events. Keys open, cancel, drain, pause and resume;\n? lists them.',
  args: { ...actorArg, ...connectionArgs },
  examples: ['orch top', 'orch top -s nats://build-1:4222', 'NO_COLOR=1 orch top'],
  async run(args) {
    if (!isTerminal() || process.stdin.isTTY !== true || env('TERM') === 'dumb') {
      throw new OrchError('usage', '`orch top` needs a terminal that can move the cursor, and a keyboard', {
        advice: 'use `orch status --watch`, which prints anywhere',
      });
    }
    const actor = actorOf(args);
    const { showTop } = await import('../top/index.ts');
    await withBus(args, bus => showTop(bus, actor));
  },
});
