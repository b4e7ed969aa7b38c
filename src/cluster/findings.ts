// The one list of findings that `orch status`, `orch top`, `orch doctor` and the metrics share. A new rule is one
// function in the file of its subject, and one line in the table there.
import type { ClusterFacts } from './facts.ts';
import { type Finding, type Rule, warning } from './finding.ts';
import { LANE_RULES } from './lane-rules.ts';
import { NODE_RULES } from './node-rules.ts';
import { SERVER_RULES } from './server-rules.ts';
import { STREAM_RULES } from './stream-rules.ts';

const unreadParts: Rule = ({ unread }) =>
  unread.map(({ part, why }) => warning('unread', part, `could not read the ${part}: ${why}`));

const RULES: readonly Rule[] = [unreadParts, ...SERVER_RULES, ...STREAM_RULES, ...LANE_RULES, ...NODE_RULES];

/** Applies all rules to the facts. */
export const findingsIn = (facts: ClusterFacts): Finding[] => RULES.flatMap(rule => rule(facts));
