// What a finding is: one thing that is wrong with a cluster, soon will be, or is good to know; and what finds it.
import type { ClusterFacts } from './facts.ts';

/** What findings are about, in the order in which `orch doctor` lists them. */
export const SUBJECTS = [
  'server',
  'version',
  'storage',
  'stream',
  'lane',
  'node',
  'agent',
  'clock',
  'chores',
  'unread',
] as const;
export type Subject = (typeof SUBJECTS)[number];

/** The worst first. `error`: something does not work. `warning`: it works less well, or soon will not. */
export const SEVERITIES = ['error', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** The shape of an element of `orch doctor --json`, and of `degraded` in `orch status --json`. */
export interface Finding {
  subject: Subject;
  /** The name of the server, stream, lane's consumer, node, agent or chore. */
  id: string;
  severity: Severity;
  /** One sentence that names the thing. */
  message: string;
  /** The next step; absent where there is none to take. */
  advice?: string;
}

/** A pure function from the facts to what it finds in them; an empty list where all is well. */
export type Rule = (facts: ClusterFacts) => Finding[];

type Make = (subject: Subject, id: string, message: string, advice?: string) => Finding;

const findingOf =
  (severity: Severity): Make =>
  (subject, id, message, advice) => ({
    subject,
    id,
    severity,
    message,
    ...(advice === undefined ? {} : { advice }),
  });

/** A finding of that severity. */
export const error = findingOf('error');
export const warning = findingOf('warning');
export const info = findingOf('info');

/** Whether a finding is a degradation, and not only good to know. */
export const isDegradation = ({ severity }: Pick<Finding, 'severity'>): boolean => severity !== 'info';
