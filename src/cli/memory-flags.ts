// What the commands about memories share: who asks whom, and how an answer is shown.
import type { Bus } from '../bus/index.ts';
import { listAgents, recallFromAll } from '../cluster/index.ts';
import { env } from '../config/index.ts';
import { askMemory } from '../memory/index.ts';
import {
  GATHER_MS_DEFAULT,
  type GatheredReply,
  type MemoryItem,
  notFoundError,
  OrchError,
  parseDuration,
  parseId,
  RECALL_LIMIT_MAX,
  type RecallInput,
  type RecallReply,
} from '../protocol/index.ts';
import { actorOf } from './connection.ts';
import { colors, printLine, safe } from './print.ts';
import { parseWhole } from './task-flags.ts';

export const askerArg = {
  as: {
    type: 'string',
    valueHint: 'agent',
    description: 'who asks (ORCH_AGENT, then ORCH_ACTOR; default this user)',
  },
} as const;

export const questionArgs = {
  query: { type: 'positional', required: true, description: 'what is asked, in words' },
  from: { type: 'string', valueHint: 'agent', description: 'whose memory (default: one’s own)' },
  all: { type: 'boolean', description: 'all memories that the asker may read' },
  group: { type: 'string', valueHint: 'name', description: 'with --all: only of agents of this group' },
  limit: {
    type: 'string',
    valueHint: 'n',
    description: `items at most, 1 to ${RECALL_LIMIT_MAX} (default 10)`,
  },
  type: { type: 'string', valueHint: 'word', description: 'only this type' },
  tags: { type: 'string', valueHint: 'a,b', description: 'only with all of these tags' },
  'min-importance': { type: 'string', valueHint: '0..1', description: 'only of at least this importance' },
  since: { type: 'string', valueHint: 'duration', description: 'only what was remembered within' },
  deadline: {
    type: 'string',
    valueHint: 'duration',
    description: 'with --all: how long to wait for all nodes (default 500ms)',
  },
} as const;

export type QuestionFlags = { [K in Exclude<keyof typeof questionArgs, 'all'>]?: string | undefined } & {
  all?: boolean | undefined;
  as?: string | undefined;
};

/** Who asks: the flag, the agent of the task that this process belongs to, or who acts otherwise. Throws `usage`. */
export const askerOf = (flags: { as?: string | undefined }): string =>
  parseId(flags.as ?? env('ORCH_AGENT') ?? actorOf({}), 'agent');

/** Asks one memory or all. Throws `usage`, `not_found` with the nearest name, and what the owner refuses it with. */
export async function askQuestion(
  bus: Bus,
  kind: 'recall' | 'search',
  flags: QuestionFlags,
): Promise<RecallReply | GatheredReply> {
  const as = askerOf(flags);
  const question = { as, query: flags.query ?? '', ...filterOf(flags) };
  if (!flags.all && flags.group === undefined) {
    if (flags.deadline !== undefined) throw new OrchError('usage', '--deadline belongs to --all');
    return withNames(bus, flags.from ?? as, agent => askMemory(bus, agent, kind, question));
  }
  if (flags.from !== undefined)
    throw new OrchError('usage', `--from cannot be used together with ${flags.all ? '--all' : '--group'}`);
  const deadlineMs = parseDuration(flags.deadline ?? `${GATHER_MS_DEFAULT}ms`, '--deadline', {
    minMs: 10,
    maxMs: 60_000,
  });
  const reply = await recallFromAll(bus, kind, question, {
    deadlineMs,
    ...(flags.group === undefined ? {} : { group: parseId(flags.group, '--group') }),
  });
  return reply;
}

/** Runs what asks an agent; where nobody owns it, the error has the nearest name. */
export async function withNames<T>(bus: Bus, agent: string, ask: (agent: string) => Promise<T>): Promise<T> {
  try {
    return await ask(parseId(agent, 'agent'));
  } catch (error) {
    if (
      !(error instanceof OrchError && error.code === 'not_found' && error.message.startsWith('no node owns'))
    )
      throw error;
    const known = await listAgents(bus).catch(() => []);
    if (known.some(({ id }) => id === agent))
      throw new OrchError(
        'not_found',
        `agent ${agent} has no memory that can be asked: it has no daemon, or one that is gone`,
      );
    throw notFoundError(
      'agent',
      agent,
      known.map(({ id }) => id),
    );
  }
}

function filterOf(flags: QuestionFlags): Partial<RecallInput> {
  return {
    ...(flags.limit === undefined ? {} : { limit: parseWhole(flags.limit, '--limit', 1, RECALL_LIMIT_MAX) }),
    ...(flags.type === undefined ? {} : { type: flags.type }),
    ...(flags.tags === undefined ? {} : { tags: flags.tags.split(',') }),
    ...(flags['min-importance'] === undefined
      ? {}
      : { importanceMin: parseShare(flags['min-importance'], '--min-importance') }),
    ...(flags.since === undefined
      ? {}
      : { since: new Date(Date.now() - parseDuration(flags.since, '--since')).toISOString() }),
  };
}

/** Reads a number from 0 to 1. Throws `usage`. */
export function parseShare(text: string, field: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new OrchError('usage', `${field} ${JSON.stringify(text)} is not allowed: use a number from 0 to 1`);
}

/** One line an item; what is missing, on stderr. */
export function printItems(items: readonly MemoryItem[]): void {
  for (const { agent, id, score, content, type, tags, pinned } of items) {
    const about = [type, ...tags.map(tag => `#${tag}`), ...(pinned ? ['pinned'] : [])].join(' ');
    printLine(`${colors.bold(`${agent}/${id}`)}  ${colors.dim(`${score.toFixed(4)}  ${safe(about)}`)}`);
    printLine(`  ${safe(content).replace(/\n/g, '\n  ')}`);
  }
}

/** Shows a question's answer, and says on stderr what it lacks. */
export function printReply(reply: RecallReply | GatheredReply): void {
  printItems(reply.items);
  const { items, method, omitted, timings } = reply;
  const about = [`${items.length} found`, method, `${timings.totalMs.toFixed(1)} ms`];
  if (omitted > 0) about.push(`${omitted} had no room`);
  if ('nodes' in reply) about.push(`${reply.nodes} nodes`);
  process.stderr.write(colors.dim(`${about.join(', ')}\n`));
  for (const { node, why, detail } of 'missing' in reply ? (reply as GatheredReply).missing : [])
    process.stderr.write(
      colors.yellow(`partial: node ${node} is missing (${why}${detail ? `: ${safe(detail)}` : ''})\n`),
    );
}
