// `orch claim [id]`: for agents that work outside a worker.
import {
  formatDuration,
  OrchError,
  parseCapabilities,
  parseDuration,
  parseId,
} from '../../protocol/index.ts';
import { claimNamed, claimNext, ticketOf } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { actorArg, actorOf, connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine, safe } from '../print.ts';
import { saveTicket } from '../tickets.ts';

export const claim = command({
  details: '`orch transition` renews the lease and reports progress and outcome.',
  args: {
    id: {
      type: 'positional',
      required: false,
      description: 'task id (default the next task that --caps can serve)',
    },
    caps: { type: 'string', valueHint: 'a,b', description: 'your capabilities (default none)' },
    lease: {
      type: 'string',
      valueHint: 'duration',
      description: 'time until the task goes to others unless renewed (default 5m)',
    },
    ...jsonArg,
    ...actorArg,
    ...connectionArgs,
  },
  examples: [
    'orch claim --caps rust --lease 10m --as claude-1',
    'orch claim nightly-1 --json | jq .input',
    'orch transition nightly-1 done --result \'{"ok":true}\'',
  ],
  async run(args) {
    const leaseMs = parseDuration(args.lease ?? '5m', '--lease', { minMs: 1_000, maxMs: 86_400_000 });
    const by = { actor: actorOf(args), capabilities: parseCapabilities(args.caps ?? ''), leaseMs };
    const id = args.id === undefined ? undefined : parseId(args.id, 'task id');
    await withBus(args, async bus => {
      const attempt = id === undefined ? await claimNext(bus, by) : await claimNamed(bus, id, by);
      if (!attempt)
        throw new OrchError('not_found', 'no task is waiting in a lane that these capabilities serve', {
          advice: '`orch lanes` lists waiting tasks by lane',
        });
      const ticket = ticketOf(attempt, leaseMs);
      await saveTicket(ticket);
      const { record, input } = attempt;
      if (args.json) return printJson({ task: record, input, ticket });
      printLine(
        `${record.id}  attempt ${record.attempt} of ${record.maxAttempts + record.forgiven}, lease ${formatDuration(leaseMs)}`,
      );
      if (record.description) printLine(safe(record.description));
      if (input !== undefined)
        printLine(typeof input === 'string' ? safe(input) : JSON.stringify(input, null, 2));
      process.stderr.write(
        `renew with \`orch transition ${record.id} renew\`, end with \`orch transition ${record.id} done|failed|released\`\n`,
      );
    });
  },
});
