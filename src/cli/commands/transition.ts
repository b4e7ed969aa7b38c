// `orch transition <id> <to>`: for tasks that were claimed with `orch claim`.
import { didYouMean, formatDuration, messageOf, OrchError, parseId, quoted } from '../../protocol/index.ts';
import { type Attempt, resumeAttempt, ticketOf, type Written } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';
import { dropTicket, loadTicket, saveTicket } from '../tickets.ts';

const STEP_NAMES = ['renew', 'started', 'blocked', 'done', 'failed', 'later', 'released'] as const;
type Step = (typeof STEP_NAMES)[number];

interface Details {
  result: unknown;
  reason: string;
}

const STEPS: Record<Exclude<Step, 'renew'>, (attempt: Attempt, details: Details) => Promise<Written>> = {
  started: attempt => attempt.started(),
  blocked: (attempt, { reason }) => attempt.blocked(reason || 'waiting for an answer'),
  done: (attempt, { result }) => attempt.done(result),
  failed: (attempt, { reason }) => attempt.fail({ reason: 'error', error: reason || 'failed' }),
  later: (attempt, { reason }) =>
    attempt.release({ reason: 'deferred', error: reason || 'not now', pause: true }),
  released: (attempt, { reason }) =>
    attempt.release({ reason: 'surrendered', ...(reason ? { error: reason } : {}), pause: false }),
};

export const transition = command({
  details:
    'For tasks that were claimed with `orch claim`. Each call renews the lease until the task ends. `later` gives\nthe task back for another attempt after a pause, `released` at once; neither counts as an attempt.',
  args: {
    id: { type: 'positional', required: true, description: 'task id' },
    to: { type: 'positional', required: true, description: STEP_NAMES.join(', ') },
    result: { type: 'string', valueHint: 'json|text', description: 'with done: the result (default none)' },
    reason: {
      type: 'string',
      valueHint: 'text',
      description: 'with blocked: the question; with failed, later, released: why',
    },
    ticket: {
      type: 'string',
      valueHint: 'json',
      description: 'ticket of a claim on another machine, from `orch claim --json` (default as saved here)',
    },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch transition nightly-1 renew',
    "orch transition nightly-1 blocked --reason 'may I drop the table?'",
    "orch transition nightly-1 failed --reason 'tests are red'",
  ],
  async run(args) {
    const id = parseId(args.id, 'task id');
    const to = parseStep(args.to);
    const ticket = await loadTicket(id, args.ticket);
    await withBus(args, async bus => {
      const attempt = await resumeAttempt(bus, ticket);
      if (to !== 'renew') {
        const written = await STEPS[to](attempt, {
          result: parseResult(args.result),
          reason: args.reason ?? '',
        });
        if (written === 'fenced')
          throw new OrchError('conflict', `the lease on task ${id} was lost; its outcome is discarded`);
      }
      if (attempt.isOver) await dropTicket(id);
      else {
        attempt.renew(ticket.leaseMs);
        await saveTicket(ticketOf(attempt, ticket.leaseMs));
      }
      if (args.json)
        return printJson({
          task: attempt.record,
          ...(attempt.isOver ? {} : { ticket: ticketOf(attempt, ticket.leaseMs) }),
        });
      printLine(
        `${id} ${to === 'renew' ? `renewed for ${formatDuration(ticket.leaseMs)}` : attempt.record.state}`,
      );
    });
  },
});

function parseStep(text: string): Step {
  const step = STEP_NAMES.find(known => known === text);
  if (step) return step;
  throw new OrchError(
    'usage',
    `transition ${quoted(text)} is not allowed: use ${STEP_NAMES.join(', ')}`,
    didYouMean(text, STEP_NAMES),
  );
}

function parseResult(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/^\s*[[{]/.test(text))
      throw new OrchError('usage', `--result is not valid JSON: ${messageOf(error)}`);
    return text;
  }
}
