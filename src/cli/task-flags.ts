// The flags that describe a task, and how they become one.
import {
  ATTEMPTS_MAX,
  CAPABILITIES_PER_LANE_MAX,
  OrchError,
  type Priority,
  parseCapabilities,
  parseDuration,
  parseId,
  parsePriority,
  quoted,
  TASK_TIMEOUT_MS_MAX,
} from '../protocol/index.ts';
import type { TaskSpec } from '../tasks/index.ts';

export const taskArgs = {
  id: {
    type: 'string',
    valueHint: 'id',
    description: 'task id; the same id is queued once (default a new one)',
  },
  caps: {
    type: 'string',
    valueHint: 'a,b',
    description: 'capabilities that the worker must have (default none)',
  },
  priority: { type: 'string', valueHint: 'p', description: 'high, medium or low (default medium)' },
  description: {
    type: 'string',
    valueHint: 'text',
    description: 'description, for people (default the first line of the input)',
  },
  repo: {
    type: 'string',
    valueHint: 'name',
    description: 'repository that the task belongs to (default none)',
  },
  labels: { type: 'string', valueHint: 'k=v,...', description: 'free labels (default none)' },
  timeout: { type: 'string', valueHint: 'duration', description: 'time limit of one attempt (default 30m)' },
  'stall-timeout': {
    type: 'string',
    valueHint: 'duration',
    description: 'time limit without output or progress (default no limit)',
  },
  'max-attempts': {
    type: 'string',
    valueHint: 'n',
    description: 'attempts before the task fails as a dead letter (default 3)',
  },
  backoff: {
    type: 'string',
    valueHint: 'duration',
    description: 'pause before the second attempt; doubles with each one (default 1s)',
  },
  delay: {
    type: 'string',
    valueHint: 'duration',
    description: 'wait at least this long before the first attempt (default none)',
  },
} as const;

type TaskFlags = { [K in keyof typeof taskArgs]?: string | undefined };

/** Makes a task of the flags and an input. Throws `usage`. */
export function specFromFlags(flags: TaskFlags, input: unknown): TaskSpec {
  const spec: TaskSpec = { capabilities: parseCapabilities(flags.caps ?? '', CAPABILITIES_PER_LANE_MAX) };
  if (flags.id !== undefined) spec.id = parseId(flags.id, '--id');
  if (flags.priority !== undefined) spec.priority = parsePriority(flags.priority) satisfies Priority;
  const description = flags.description ?? (typeof input === 'string' ? firstLine(input) : undefined);
  if (description !== undefined) spec.description = description;
  if (flags.repo !== undefined) spec.repo = flags.repo;
  if (flags.labels !== undefined) spec.labels = parseLabels(flags.labels);
  if (flags.timeout !== undefined)
    spec.timeoutMs = parseDuration(flags.timeout, '--timeout', { minMs: 1, maxMs: TASK_TIMEOUT_MS_MAX });
  if (flags['stall-timeout'] !== undefined)
    spec.stallTimeoutMs = parseDuration(flags['stall-timeout'], '--stall-timeout', {
      maxMs: TASK_TIMEOUT_MS_MAX,
    });
  if (flags['max-attempts'] !== undefined)
    spec.maxAttempts = parseInteger(flags['max-attempts'], '--max-attempts', 1, ATTEMPTS_MAX);
  if (flags.backoff !== undefined)
    spec.backoff = { baseMs: parseDuration(flags.backoff, '--backoff', { maxMs: TASK_TIMEOUT_MS_MAX }) };
  if (flags.delay !== undefined) {
    spec.notBefore = new Date(
      Date.now() + parseDuration(flags.delay, '--delay', { maxMs: 30 * 86_400_000 }),
    ).toISOString();
  }
  if (input !== undefined) spec.input = input;
  return spec;
}

/** Reads an integer within a range. Throws `usage` with the range. */
export function parseInteger(text: string, field: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new OrchError(
      'usage',
      `${field} ${quoted(text)} is not allowed: use a whole number from ${min} to ${max}`,
    );
  }
  return value;
}

/** Reads `k=v,k=v`. Throws `usage`. */
export function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text.split(',').filter(Boolean)) {
    const [key, ...value] = pair.split('=');
    if (!key || value.length === 0)
      throw new OrchError('usage', `--labels ${quoted(pair)} is not allowed: use key=value,key=value`);
    labels[key] = value.join('=');
  }
  return labels;
}

const firstLine = (text: string): string => (text.trim().split('\n')[0] ?? '').slice(0, 200);
