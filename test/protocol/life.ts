// A task's life as the document shows it: the diagram of states, what each entry changes in the record, and examples.
import {
  JournalEntry,
  LEASE_MS_DEFAULT,
  TASK_STATES,
  type TaskEventType,
  TaskMessage,
  TaskRecord,
} from '../../src/protocol/index.ts';
import { apply, type Change, queuedRecord, TRANSITIONS } from '../../src/tasks/index.ts';
import { code, fenced } from './document.ts';

const DIED = { reason: 'error', error: 'exit code 2', exitCode: 2 } as const;
const RESULT_REF = { bucket: 'orch-results', name: 't-1.1', bytes: 70_000, digest: 'SHA-256=...' };
/** Each change with all that it may bring along. */
const CHANGES: { [T in Change['type']]: Required<Extract<Change, { type: T }>> } = {
  claimed: { type: 'claimed', node: 'node-a', queueSeq: 17, leaseMs: LEASE_MS_DEFAULT },
  started: { type: 'started' },
  blocked: { type: 'blocked', question: 'may I?' },
  done: { type: 'done', result: 'ok', resultRef: RESULT_REF, exitCode: 0 },
  retrying: { type: 'retrying', ...DIED, notBefore: '2026-01-31T12:00:09Z' },
  released: { type: 'released', ...DIED, notBefore: '2026-01-31T12:00:09Z' },
  failed: { type: 'failed', ...DIED },
  requeued: { type: 'requeued' },
  cancelled: { type: 'cancelled', reason: 'not needed' },
  unservable: { type: 'unservable' },
  servable: { type: 'servable' },
};

/** The cells of an entry type: from, to, fields that it sets, fields that it removes. */
export function transitionRow(type: TaskEventType): string[] {
  // The one entry that no change makes: a task's first.
  if (type === 'queued') return [code(type), 'nothing', code('queued'), 'the record', ''];
  const { from, to } = TRANSITIONS[type];
  const before = fullRecord(from[0] ?? 'queued');
  // As it is written: what is undefined is left out.
  const after: Record<string, unknown> = JSON.parse(
    JSON.stringify(apply(before, CHANGES[type], '2026-01-31T12:00:02Z')),
  );
  const isSet = (field: string) => JSON.stringify(before[field]) !== JSON.stringify(after[field]);
  // Every entry sets these two.
  const fields = Object.keys(TaskRecord.shape).filter(field => field !== 'state' && field !== 'updatedAt');
  const list = (names: string[]) => names.map(code).join(', ');
  return [
    code(type),
    list([...from]),
    to === undefined ? 'the same' : code(to),
    list(fields.filter(field => field in after && isSet(field))),
    list(fields.filter(field => field in before && !(field in after))),
  ];
}

// A record with every field, and no value that a change would set.
function fullRecord(state: TaskRecord['state']): TaskRecord {
  const time = '2026-01-31T11:00:00Z';
  return TaskRecord.parse({
    id: 't-1',
    state,
    priority: 'medium',
    lane: 'any',
    createdAt: time,
    updatedAt: time,
    notBefore: time,
    claimedAt: time,
    startedAt: time,
    endedAt: time,
    attempt: 5,
    forgiven: 2,
    node: 'node-z',
    queueSeq: 1,
    leaseMs: 1,
    reason: 'before',
    error: 'before',
    exitCode: 9,
    question: 'before',
    unservableSince: time,
    result: 'before',
    resultRef: { ...RESULT_REF, name: 'before' },
  });
}

/** One line for each state: where it leads, and by which entry where that has another name. */
export function stateDiagram(): string {
  const lines = TASK_STATES.map(state => {
    const targets = Object.entries(TRANSITIONS)
      .filter(([, { from }]) => from.includes(state))
      .map(([type, { to }]) => (type === to ? to : `${to ?? state} (${type})`));
    return `${state.padEnd(9)}  -> ${targets.length === 0 ? 'the end' : targets.join(' | ')}`;
  });
  return fenced('text', [`${'(nothing)'.padEnd(9)}  -> queued`, ...lines].join('\n'));
}

/** The entry that ends a task, as it is written. */
export function exampleEntry(): string {
  const at = (second: number) => `2026-01-31T12:00:0${second}.000Z`;
  const message = TaskMessage.parse({ description: 'run the tests', createdBy: 'alice' });
  const queued = queuedRecord({ taskId: 't-1', priority: 'medium', lane: 'freebsd+rust' }, message, at(0));
  const claimed = apply(queued, CHANGES.claimed, at(1));
  const task = claimed && apply(claimed, { type: 'done', exitCode: 0, result: 'ok' }, at(2));
  const entry = JournalEntry.parse({ type: 'done', at: at(2), actor: 'node-a', nonce: 'h5RjK8pN0sUo', task });
  return fenced('json', JSON.stringify(entry, null, 2));
}
