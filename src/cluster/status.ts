// The cluster at a glance: the facts of this moment, and what is degraded in them.
import type { Bus } from '../bus/index.ts';
import { type ClusterFacts, readFacts } from './facts.ts';
import { type Finding, isDegradation } from './finding.ts';
import { findingsIn } from './findings.ts';

/** The shape of `orch status --json`. Times are ISO 8601, durations milliseconds. */
export interface ClusterStatus extends ClusterFacts {
  at: string;
  /** The errors and warnings among the findings. */
  degraded: Finding[];
}

/** Throws `unavailable`, or `not_found` on a server on which orch was never used. */
export async function readStatus(bus: Bus): Promise<ClusterStatus> {
  const facts = await readFacts(bus);
  return { at: new Date().toISOString(), ...facts, degraded: findingsIn(facts).filter(isDegradation) };
}
