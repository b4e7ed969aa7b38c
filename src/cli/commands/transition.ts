// `orch transition <id> <to>`: how a task that was claimed by hand goes.
import { didYouMean, formatDuration, messageOf, OrchError, parseId, quoted } from '../../protocol/index.ts';
import { type Attempt, resumeAttempt, ticketOf, type Written } from '../../tasks/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { printJson, printLine } from '../print.ts';
import { dropTicket, loadTicket, saveTicket } from '../tickets.ts';

const WORDS = ['renew', 'started', 'blocked', 'done', 'failed', 'later', 'released'] as const;
type Word = (typeof WORDS)[number];

interface Details {
  result: unknown;
  reason: string;
}

const STEPS: Record<Exclude<Word, 'renew'>, (attempt: Attempt, details: Details) => Promise<Written>> = {
  started: attempt => attempt.started(),
  blocked: (attempt, { reason }) => attempt.blocked(reason || 'waits for an answer'),
  done: (attempt, { result }) => attempt.done(result),
  failed: (attempt, { reason }) => attempt.fail({ reason: 'error', error: reason || 'failed' }),
  later: (attempt, { reason }) =>
    attempt.release({ reason: 'deferred', error: reason || 'not now', pause: true }),
  released: (attempt, { reason }) =>
    attempt.release({ reason: 'surrendered', ...(reason ? { error: reason } : {}), pause: false }),
};

export const transition = command({
  name: 'transition',
  description: 'Renew the lease of a task that you claimed, or say how it goes.',
  args: {
    id: { type: 'positional', required: true, description: 'task id' },
    to: { type: 'positional', required: true, description: `${WORDS.join(', ')}` },
    result: { type: 'string', valueHint: 'json|text', description: 'with done: the result' },
    reason: {
      type: 'string',
      valueHint: 'text',
      description: 'with blocked, failed, later, released: the question or why',
    },
    ticket: {
      type: 'string',
      valueHint: 'json',
      description: 'a ticket from another machine (`orch claim --json`)',
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
    const to = parseWord(args.to);
    const ticket = await loadTicket(id, args.ticket);
    await withBus(args, async bus => {
      const attempt = await resumeAttempt(bus, ticket);
      if (to !== 'renew') {
        const written = await STEPS[to](attempt, {
          result: parseResult(args.result),
          reason: args.reason ?? '',
        });
        if (written === 'fenced')
          throw new OrchError('conflict', `task ${id} was taken by somebody else just now`);
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

function parseWord(text: string): Word {
  const word = WORDS.find(known => known === text);
  if (word) return word;
  throw new OrchError(
    'usage',
    `transition ${quoted(text)} is not allowed: use ${WORDS.join(', ')}`,
    didYouMean(text, WORDS),
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
