// What the commands about memories share: their flags, who asks which memory, and how an answer is printed.
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
  quoted,
  RECALL_LIMIT_MAX,
  type RecallInput,
  type RecallReply,
} from '../protocol/index.ts';
import { actorOf, connectionArgs, jsonArg, withBus } from './connection.ts';
import { colors, printJson, printLine, safe } from './print.ts';
import { parseInteger } from './task-flags.ts';

export const askerArg = {
  as: {
    type: 'string',
    valueHint: 'agent',
    description: 'agent to act as (default ORCH_AGENT, then ORCH_ACTOR, then this user)',
  },
} as const;

/** The flags of recall and search. */
export const questionArgs = {
  query: { type: 'positional', required: true, description: 'words to look for' },
  from: { type: 'string', valueHint: 'agent', description: 'whose memory to ask (default the agent’s own)' },
  all: { type: 'boolean', description: 'ask all memories that the agent may read' },
  group: {
    type: 'string',
    valueHint: 'name',
    description: 'ask only memories of this group; implies --all',
  },
  limit: {
    type: 'string',
    valueHint: 'n',
    description: `most items to return, 1 to ${RECALL_LIMIT_MAX} (default 10)`,
  },
  type: { type: 'string', valueHint: 'word', description: 'only records of this type (default any)' },
  tags: {
    type: 'string',
    valueHint: 'a,b',
    description: 'only records with all of these tags (default any)',
  },
  'min-importance': {
    type: 'string',
    valueHint: '0..1',
    description: 'only records of at least this importance (default 0)',
  },
  since: {
    type: 'string',
    valueHint: 'duration',
    description: 'only records not older than this (default any age)',
  },
  deadline: {
    type: 'string',
    valueHint: 'duration',
    description: 'with --all: how long to wait for all nodes (default 500ms)',
  },
  ...askerArg,
  ...jsonArg,
  ...connectionArgs,
} as const;

export type QuestionFlags = {
  [K in 'query' | 'from' | 'group' | 'limit' | 'type' | 'tags' | 'min-importance' | 'since' | 'deadline']?:
    | string
    | undefined;
} & { all?: boolean | undefined; as?: string | undefined; json?: boolean | undefined };

/** The agent that asks: the flag, the agent of the task that this process belongs to, or the actor. Throws `usage`. */
export const askerOf = (flags: { as?: string | undefined }): string =>
  parseId(flags.as ?? env('ORCH_AGENT') ?? actorOf({}), 'agent');

/** Runs `orch recall` or `orch search`. */
export async function printAnswer(
  kind: 'recall' | 'search',
  flags: QuestionFlags & Parameters<typeof withBus>[0],
): Promise<void> {
  const reply = await withBus(flags, bus => askQuestion(bus, kind, flags));
  if (flags.json) printJson(reply);
  else printReply(reply);
}

// Asks one memory or all.
async function askQuestion(
  bus: Bus,
  kind: 'recall' | 'search',
  flags: QuestionFlags,
): Promise<RecallReply | GatheredReply> {
  const as = askerOf(flags);
  const question = { as, query: flags.query ?? '', ...filterOf(flags) };
  if (!flags.all && flags.group === undefined) {
    if (flags.deadline !== undefined) throw new OrchError('usage', '--deadline needs --all');
    const owner = flags.from ?? as;
    return suggestAgent(bus, owner, () => askMemory(bus, owner, kind, question));
  }
  if (flags.from !== undefined)
    throw new OrchError('usage', `--from cannot be used together with ${flags.all ? '--all' : '--group'}`);
  const deadlineMs = parseDuration(flags.deadline ?? `${GATHER_MS_DEFAULT}ms`, '--deadline', {
    minMs: 10,
    maxMs: 60_000,
  });
  return recallFromAll(bus, kind, question, {
    deadlineMs,
    ...(flags.group === undefined ? {} : { group: parseId(flags.group, '--group') }),
  });
}

/** Runs a request to an agent's memory; where no node owns the agent, the error names the nearest agent. */
export async function suggestAgent<T>(bus: Bus, agent: string, ask: () => Promise<T>): Promise<T> {
  parseId(agent, 'agent');
  try {
    return await ask();
  } catch (error) {
    if (
      !(error instanceof OrchError && error.code === 'not_found' && error.message.startsWith('no node owns'))
    )
      throw error;
    const known = await listAgents(bus).catch(() => []);
    if (known.some(({ id }) => id === agent))
      throw new OrchError('not_found', `agent ${agent} has no memory: its owner has no daemon, or is gone`, {
        advice: `\`orch agents resolve ${agent}\` shows its owner`,
      });
    throw notFoundError(
      'agent',
      agent,
      known.map(({ id }) => id),
    );
  }
}

function filterOf(flags: QuestionFlags): Partial<RecallInput> {
  return {
    ...(flags.limit === undefined
      ? {}
      : { limit: parseInteger(flags.limit, '--limit', 1, RECALL_LIMIT_MAX) }),
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
  throw new OrchError('usage', `${field} ${quoted(text)} is not allowed: use a number from 0 to 1`);
}

/** Prints each item: a line about it, then its content. */
export function printItems(items: readonly MemoryItem[]): void {
  for (const { agent, id, score, content, type, tags, pinned } of items) {
    const about = [type, ...tags.map(tag => `#${tag}`), ...(pinned ? ['pinned'] : [])].join(' ');
    printLine(`${colors.bold(`${agent}/${id}`)}  ${colors.dim(`${score.toFixed(4)}  ${safe(about)}`)}`);
    printLine(`  ${safe(content).replace(/\n/g, '\n  ')}`);
  }
}

// The items on stdout; counts, and nodes that did not answer, on stderr.
function printReply(reply: RecallReply | GatheredReply): void {
  printItems(reply.items);
  const { items, method, omitted, timings } = reply;
  const about = [`${items.length} found`, method, `${timings.totalMs.toFixed(1)} ms`];
  if (omitted > 0) about.push(`${omitted} omitted for size`);
  if ('nodes' in reply) about.push(`${reply.nodes} nodes`);
  process.stderr.write(colors.dim(`${about.join(', ')}\n`));
  for (const { node, why, detail } of 'missing' in reply ? (reply as GatheredReply).missing : [])
    process.stderr.write(
      colors.yellow(`partial: node ${node} is missing (${why}${detail ? `: ${safe(detail)}` : ''})\n`),
    );
}
