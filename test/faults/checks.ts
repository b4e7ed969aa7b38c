// What must hold at the end of a run, over what was acknowledged, what stands in the journal, and what the workers
// recorded. Pure, and without any measure of how fast the machine was.
import { isActive, isFinal, isWaiting, parseLane } from '../../src/protocol/index.ts';
import { NODES } from './fleet.ts';
import type { Kind, PlannedTask } from './load.ts';
import { byTask, type ClaimedAttempt, type Life, type Line, replay } from './replay.ts';
import type { Death, Spell, Stop } from './world.ts';

/** All that is checked. */
export const CHECKS = [
  'no acknowledged task is lost',
  'the journal is readable',
  'the journal follows the lifecycle',
  'an acknowledged cancel or retry stands',
  'a failed task keeps its input',
  'an ended task leaves the queue',
  'the list is the fold of the journal',
  'no worker runs what it is not capable of',
  'what runs was claimed',
  'an attempt begins once',
  'only what began counts as an attempt',
  'every stop ends',
  'no daemon dies by itself',
  'no unhandled error in a log',
  'no process is left over',
] as const;
export type Check = (typeof CHECKS)[number];

export interface Violation {
  check: Check;
  task?: string;
  detail: string;
}

/** A line of `orch tasks --json`. */
export interface ListedTask {
  id: string;
  state: string;
  attempt?: number;
  updatedAt?: string;
}

export interface Facts {
  planned: readonly PlannedTask[];
  acknowledged: ReadonlySet<string>;
  cancelled: ReadonlySet<string>;
  retried: ReadonlyMap<string, number>;
  lines: readonly Line[];
  unreadable: readonly string[];
  listed: readonly ListedTask[];
  /** The last sequence of the journal before the list was read. */
  listedAt: number;
  queued: ReadonlySet<string>;
  dead: ReadonlySet<string>;
  /** Tasks that a live node answers to be at work on. */
  held: ReadonlySet<string>;
  /** True where nothing happened any more; else the run ended while the fleet was still at work. */
  isQuiet: boolean;
  ran: ReadonlyMap<string, readonly string[]>;
  spells: readonly Spell[];
  stops: readonly Stop[];
  deaths: readonly Death[];
  logs: ReadonlyMap<string, readonly string[]>;
  /** Processes of the run that were there after all was stopped. */
  leftovers: readonly string[];
}

/** All checks with what each found. */
export function check(facts: Facts): Violation[] {
  const lives = new Map([...byTask(facts.lines)].map(([id, lines]) => [id, replay(lines)]));
  return [
    ...acknowledgedAreThere(facts, lives),
    ...followLifecycle(lives),
    ...operatorsWord(facts, lives),
    ...inputsAreKept(facts, lives),
    ...listIsFold(facts, lives),
    ...capabilities(facts, lives),
    ...attemptsBegan(facts, lives),
    ...stopsAreBounded(facts),
    ...daemonsAreSound(facts),
    ...facts.unreadable.map(detail => ({ check: 'the journal is readable' as const, detail })),
  ];
}

/** Kinds that end well unless their workers die. */
const GOOD: ReadonlySet<Kind> = new Set([
  'ok',
  'slow',
  'long',
  'flaky',
  'later',
  'large',
  'delayed',
] as const);
/** Ends that lose the input of a task which was acknowledged. */
const LOSSES = new Set(['message-lost', 'unpublished', 'invalid']);

function* acknowledgedAreThere(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  for (const { id, kind } of facts.planned) {
    if (!facts.acknowledged.has(id)) continue;
    const record = lives.get(id)?.record;
    const violation = (detail: string): Violation => ({
      check: 'no acknowledged task is lost',
      task: id,
      detail,
    });
    if (!record) {
      if (!facts.queued.has(id)) yield violation('neither in the journal nor in the queue');
      else if (facts.isQuiet) yield violation('in the queue, and not delivered to anybody');
    } else if (isFinal(record.state)) {
      if (record.state !== 'failed') continue;
      const { reason = '', error } = record;
      if (LOSSES.has(reason)) yield violation(`failed as ${reason}: ${error}`);
      else if (GOOD.has(kind) && reason !== 'lease-lost')
        yield violation(`meant to end well, failed as ${reason}: ${error}`);
    } else if (isWaiting(record.state)) {
      const until = record.notBefore === undefined ? '' : ` not before ${record.notBefore}`;
      if (!facts.queued.has(id)) yield violation(`${record.state}, and its message is not in the queue`);
      else if (facts.isQuiet) yield violation(`${record.state}${until}, and nothing happens any more`);
    } else if (!facts.held.has(id)) {
      yield violation(`${record.state} by ${record.node}, which does not answer to be at work on it`);
    }
  }
}

function* followLifecycle(lives: ReadonlyMap<string, Life>): Generator<Violation> {
  for (const { id, problems } of lives.values())
    for (const detail of problems) yield { check: 'the journal follows the lifecycle', task: id, detail };
}

// What the operator's command printed is what stands in the journal.
function* operatorsWord(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  const name = 'an acknowledged cancel or retry stands';
  for (const id of facts.cancelled) {
    const state = lives.get(id)?.record.state;
    if (state !== 'cancelled')
      yield { check: name, task: id, detail: `cancelled, and now ${state ?? 'unknown'}` };
  }
  for (const [id, times] of facts.retried) {
    const retries = lives.get(id)?.retries ?? 0;
    if (retries < times)
      yield { check: name, task: id, detail: `retried ${times} times, ${retries} in the journal` };
  }
}

function* inputsAreKept(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  for (const { id, record } of lives.values()) {
    if (record.state === 'failed' && !LOSSES.has(record.reason ?? '') && !facts.dead.has(id))
      yield {
        check: 'a failed task keeps its input',
        task: id,
        detail: `failed as ${record.reason}, no dead letter`,
      };
    if (isFinal(record.state) && facts.queued.has(id) && facts.isQuiet)
      yield {
        check: 'an ended task leaves the queue',
        task: id,
        detail: `${record.state}, its message is still queued`,
      };
  }
}

// The list was read while the fleet may have been at work: what it shows of a task is its last entry then, or a later one.
function* listIsFold(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  const name = 'the list is the fold of the journal';
  const listed = new Map(facts.listed.map(task => [task.id, task]));
  for (const [id, lines] of byTask(facts.lines)) {
    const decided = lines.filter(({ type }) => type !== 'queued');
    const then = decided.findLastIndex(({ seq }) => seq <= facts.listedAt);
    const allowed = then < 0 ? lines : decided.slice(then);
    const shown = listed.get(id);
    if (!shown) {
      if (allowed[0] && allowed[0].seq <= facts.listedAt)
        yield { check: name, task: id, detail: 'not in the list' };
      continue;
    }
    const isThere = allowed.some(
      ({ entry: { task } }) =>
        task.state === shown.state && task.attempt === shown.attempt && task.updatedAt === shown.updatedAt,
    );
    const { state, attempt } = lives.get(id)?.record ?? {};
    if (!isThere)
      yield {
        check: name,
        task: id,
        detail: `${shown.state} in attempt ${shown.attempt}, by the journal ${state} in attempt ${attempt}`,
      };
  }
  for (const { id } of facts.listed)
    if (!lives.has(id) && !facts.queued.has(id))
      yield { check: name, task: id, detail: 'listed and nowhere else' };
}

interface Begun {
  id: string;
  attempt: number;
  node: string;
}

function begunAttempts(facts: Facts): Begun[] {
  return [...facts.ran].flatMap(([node, lines]) =>
    lines.map(line => {
      const [id = '', attempt] = line.split(' ');
      return { id, attempt: Number(attempt), node };
    }),
  );
}

function* capabilities(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  const able = new Map(NODES.map(({ id, capabilities }) => [id, new Set(capabilities)]));
  const begun = new Set<string>();
  for (const { id, attempt, node } of begunAttempts(facts)) {
    const life = lives.get(id);
    const lacking = parseLane(life?.record.lane ?? 'any').filter(
      capability => !able.get(node)?.has(capability),
    );
    if (lacking.length > 0)
      yield {
        check: 'no worker runs what it is not capable of',
        task: id,
        detail: `${node} lacks ${lacking}`,
      };
    const claim = life?.attempts.find(one => one.attempt === attempt && one.node === node);
    if (!claim)
      yield {
        check: 'what runs was claimed',
        task: id,
        detail: `${node} began attempt ${attempt} unclaimed`,
      };
    const key = `${id} ${attempt}`;
    if (begun.has(key))
      yield {
        check: 'an attempt begins once',
        task: id,
        detail: `attempt ${attempt} began again on ${node}`,
      };
    begun.add(key);
  }
}

// An attempt counts when it began. Of one whose worker was killed or stopped just then it cannot be known.
function* attemptsBegan(facts: Facts, lives: ReadonlyMap<string, Life>): Generator<Violation> {
  const begun = new Set(begunAttempts(facts).map(({ id, attempt, node }) => `${id} ${attempt} ${node}`));
  for (const { id, attempts } of lives.values())
    for (const one of attempts) {
      if (!one.isCounted || begun.has(`${id} ${one.attempt} ${one.node}`) || wasDisturbed(facts.spells, one))
        continue;
      const detail = `attempt ${one.attempt} of ${one.node} never began and counts; ended by ${one.endedBy?.type} ${one.endedBy?.reason ?? ''}`;
      yield { check: 'only what began counts as an attempt', task: id, detail: detail.trim() };
    }
}

/** The server's time of an entry may differ from the runner's of a signal by the way of both. */
const SLACK_MS = 500;

function wasDisturbed(spells: readonly Spell[], { node, claimedAt, endedBy }: ClaimedAttempt): boolean {
  const until = endedBy?.at ?? Number.POSITIVE_INFINITY;
  return spells.some(
    spell => spell.node === node && spell.from <= until + SLACK_MS && spell.to >= claimedAt - SLACK_MS,
  );
}

function* stopsAreBounded({ stops }: Facts): Generator<Violation> {
  for (const { node, signals, tookMs, boundMs } of stops)
    if (tookMs > boundMs)
      yield {
        check: 'every stop ends',
        detail: `${node} was still there ${tookMs} ms after ${signals}, bound ${boundMs} ms`,
      };
}

function* daemonsAreSound({ deaths, logs, leftovers }: Facts): Generator<Violation> {
  for (const { node, at, exit } of deaths)
    yield {
      check: 'no daemon dies by itself',
      detail: `${node} at ${new Date(at).toISOString()} with ${exit.signal ?? `code ${exit.code}`}`,
    };
  for (const [name, lines] of logs)
    for (const line of lines.filter(DAEMONS.has(name) ? isUnhandled : isDefect))
      yield { check: 'no unhandled error in a log', detail: `${name}: ${line.slice(0, 400)}` };
  for (const detail of leftovers) yield { check: 'no process is left over', detail };
}

/** Errors of JavaScript itself, which nothing that is foreseen leads to. */
const DEFECT =
  /unhandled|uncaught|is not a (function|constructor)|is not iterable|cannot read propert|TypeError|ReferenceError|RangeError|Maximum call stack|MaxListenersExceeded/i;

/** Whether a line of a daemon's log is more than a report: a defect, or a text that is no log line at all. */
export function isUnhandled(line: string): boolean {
  if (isDefect(line)) return true;
  if (line.startsWith('orch: ') || line.startsWith('      ')) return false;
  try {
    return (JSON.parse(line) as { level?: number }).level === 60;
  } catch {
    return true;
  }
}

const isDefect = (line: string): boolean => DEFECT.test(line);

/** Whose logs are lines for programs; publishers and the operator print for people. */
const DAEMONS: ReadonlySet<string> = new Set(NODES.map(({ id }) => id));

/** How the acknowledged tasks ended. */
export function outcomes(facts: Pick<Facts, 'acknowledged' | 'lines'>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [id, lines] of byTask(facts.lines)) {
    if (!facts.acknowledged.has(id)) continue;
    const { state } = replay(lines).record;
    const key = isActive(state) ? 'running' : isFinal(state) ? state : 'waiting';
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
