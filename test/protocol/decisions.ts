// What a delivery of a task's message means, as a table: every combination of what `decideClaim` looks at, in cases.
import {
  isActive,
  isFinal,
  TASK_STATES,
  TaskMessage,
  type TaskRecord,
  type TaskState,
} from '../../src/protocol/index.ts';
import { decideClaim, queuedRecord } from '../../src/tasks/index.ts';
import { code } from './document.ts';

/** What a decision depends on. */
export interface Input {
  state: TaskState;
  sameMessage: boolean;
  /** The record's notBefore lies in the future. */
  tooEarly: boolean;
  /** It was given up with reason `unpublished`. */
  isUnpublished: boolean;
}

/** Inputs that mean the same. */
export interface Case {
  name: string;
  state(state: TaskState): boolean;
  /** Absent: either. */
  sameMessage?: boolean;
  tooEarly?: boolean;
  isUnpublished?: boolean;
}

const isWaiting = (state: TaskState) => !isFinal(state) && !isActive(state);
export const CASES: readonly Case[] = [
  { name: 'ended', state: isFinal, isUnpublished: false },
  { name: 'given up', state: state => state === 'failed', isUnpublished: true },
  { name: 'too early', state: isWaiting, tooEarly: true },
  { name: 'waiting', state: isWaiting, tooEarly: false },
  { name: 'duplicate', state: isActive, sameMessage: false },
  { name: 'silent', state: isActive, sameMessage: true },
];

export function allInputs(): Input[] {
  return TASK_STATES.flatMap(state =>
    [true, false].flatMap(sameMessage =>
      [true, false].flatMap(tooEarly =>
        (state === 'failed' ? [true, false] : [false]).map(isUnpublished => ({
          state,
          sameMessage,
          tooEarly,
          isUnpublished,
        })),
      ),
    ),
  );
}

export function inputsOf(of: Case): Input[] {
  return allInputs().filter(
    input =>
      of.state(input.state) &&
      (['sameMessage', 'tooEarly', 'isUnpublished'] as const).every(
        key => of[key] === undefined || of[key] === input[key],
      ),
  );
}

/** The row of a case: what it looks like, and what `decideClaim` says of all inputs that it covers. */
export function decisionRow(of: Case): string[] {
  const decisions = new Set(inputsOf(of).map(decisionOf));
  const pick = (value: boolean | undefined, yes: string, no: string) =>
    value === undefined ? 'any' : value ? yes : no;
  const early =
    of.tooEarly === undefined ? '' : of.tooEarly ? ', `notBefore` ahead' : ', `notBefore` absent or past';
  return [
    of.name,
    TASK_STATES.filter(of.state).map(code).join(', ') +
      early +
      (of.isUnpublished ? ', reason `unpublished`' : ''),
    pick(of.sameMessage, 'the one that was claimed', 'another one'),
    // More than one: the case is drawn too wide, and the comparison shows it.
    [...decisions].join(' or '),
  ];
}

function decisionOf({ state, sameMessage, tooEarly, isUnpublished }: Input): string {
  const now = new Date('2026-01-31T12:00:00Z');
  const record: TaskRecord = {
    ...queuedRecord(
      { taskId: 't-1', priority: 'medium', lane: 'any' },
      TaskMessage.parse({}),
      now.toISOString(),
    ),
    state,
    queueSeq: 17,
    ...(isUnpublished ? { reason: 'unpublished' } : {}),
    ...(tooEarly ? { notBefore: new Date(now.getTime() + 1_000).toISOString() } : {}),
  };
  const decision = decideClaim(record, sameMessage ? 17 : 18, now);
  return decision.kind === 'wait' ? 'wait until `notBefore`' : decision.kind;
}
