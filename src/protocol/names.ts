// The names that become subject tokens: task ids, node ids, capabilities, lanes. A name is accepted or refused and
// never rewritten, so that what a user typed is what `nats sub` shows.
import { OrchError } from './errors.ts';

export const PRIORITIES = ['high', 'medium', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

export const CAPABILITY_LENGTH_MAX = 32;
/** Keeps a lane's durable name under the server's 255 characters and a subject readable. */
export const CAPABILITIES_PER_LANE_MAX = 6;
/** A worker may offer more than one lane needs; each combination that is in use costs it one open pull. */
export const CAPABILITIES_PER_WORKER_MAX = 64;
export const ID_LENGTH_MAX = 64;

/** The lane of tasks that any worker can run. Reserved: no capability may be called so. */
export const ANY_LANE = 'any';

const CAPABILITY = /^[a-z0-9](?:[a-z0-9_=-]*[a-z0-9])?$/;
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]*$/;

/** Checks a capability such as `rust` or `pool=gpu`. Throws `usage`. */
export function parseCapability(text: string): string {
  if (text === ANY_LANE) {
    throw new OrchError('usage', `capability "any" is reserved for tasks that need none`, {
      advice: 'leave the capabilities out to let any worker run the task',
    });
  }
  if (text.length > CAPABILITY_LENGTH_MAX || !CAPABILITY.test(text)) {
    const lower = text
      .toLowerCase()
      .replace(/[^a-z0-9_=-]+/g, '-')
      .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
    const close = lower.slice(0, CAPABILITY_LENGTH_MAX);
    throw new OrchError(
      'usage',
      `capability ${quoted(text)} is not allowed: use [a-z0-9] with _ - = inside, at most ${CAPABILITY_LENGTH_MAX} characters`,
      CAPABILITY.test(close) && close !== text && close !== ANY_LANE
        ? { advice: `did you mean "${close}"?` }
        : {},
    );
  }
  return text;
}

/** Splits and checks `freebsd,rust`; sorted, without repeats. Throws `usage`. */
export function parseCapabilities(
  list: string | readonly string[],
  max = CAPABILITIES_PER_WORKER_MAX,
): string[] {
  const parts = typeof list === 'string' ? list.split(',').map(part => part.trim()) : list;
  const unique = [...new Set(parts.filter(part => part !== '').map(parseCapability))].sort();
  if (unique.length > max) {
    throw new OrchError('usage', `${unique.length} capabilities given, at most ${max} are allowed`);
  }
  return unique;
}

/** Checks a task, node or actor id, which is one subject token. Throws `usage`. */
export function parseId(text: string, what = 'id'): string {
  if (text.length > ID_LENGTH_MAX || !ID.test(text)) {
    throw new OrchError(
      'usage',
      `${what} ${quoted(text)} is not allowed: use [A-Za-z0-9] then [A-Za-z0-9_-], at most ${ID_LENGTH_MAX} characters`,
    );
  }
  return text;
}

export function isId(text: string): boolean {
  return text.length <= ID_LENGTH_MAX && ID.test(text);
}

/** An id made of a name that is not orch's to choose, such as a host's or a user's. */
export function idFrom(name: string, lengthMax = ID_LENGTH_MAX): string {
  return (
    name
      .replace(/[^A-Za-z0-9_-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, lengthMax) || 'x'
  );
}

/** Checks a priority. Throws `usage` with the nearest one. */
export function parsePriority(text: string): Priority {
  if (isPriority(text)) return text;
  throw new OrchError(
    'usage',
    `priority ${quoted(text)} is not allowed: use ${PRIORITIES.join(', ')}`,
    didYouMean(text, PRIORITIES),
  );
}

export function isPriority(text: string): text is Priority {
  return (PRIORITIES as readonly string[]).includes(text);
}

/** The lane of a set of required capabilities: sorted, joined by `+`, or `any`. */
export function laneOf(capabilities: readonly string[]): string {
  if (capabilities.length === 0) return ANY_LANE;
  return parseCapabilities(capabilities, CAPABILITIES_PER_LANE_MAX).join('+') || ANY_LANE;
}

/** The capabilities that a lane requires. Throws `usage` when the text is not a lane in its one written form. */
export function parseLane(lane: string): string[] {
  if (lane === ANY_LANE) return [];
  const capabilities = lane.split('+').map(parseCapability);
  const canonical = laneOf(capabilities);
  if (canonical !== lane) {
    throw new OrchError('usage', `lane ${quoted(lane)} is not in its sorted form`, {
      advice: `did you mean "${canonical}"?`,
    });
  }
  return capabilities;
}

/** The nearest allowed word as advice, where one is near enough to be meant. */
export function didYouMean(given: string, allowed: readonly string[]): { advice?: string } {
  const near = nearest(given, allowed);
  return near === undefined ? {} : { advice: `did you mean "${near}"?` };
}

/** The error for a name that nothing has, with the nearest known one. `what` is the noun, such as `agent`. */
export function notFoundError(what: string, name: string, known: readonly string[]): OrchError {
  const near = nearest(name, known);
  return new OrchError('not_found', `no ${what} ${name}`, {
    advice: near === undefined ? `\`orch ${what}s\` lists them` : `did you mean "${near}"?`,
  });
}

/** The allowed word that is nearest to a given one; undefined when none is near enough to be meant. */
export function nearest(given: string, allowed: readonly string[]): string | undefined {
  const scored = allowed.map(word => ({ word, distance: editDistance(given.toLowerCase(), word) }));
  scored.sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best && best.distance <= Math.max(1, Math.floor(best.word.length / 3)) ? best.word : undefined;
}

// Optimal string alignment: two letters that changed places are one mistake.
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          substituted,
          isSwapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

/** A value for an error message: quoted, and cut where somebody passed a whole file. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
