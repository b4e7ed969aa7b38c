// What a scenario is. Each file in scenarios/ exports one; its index.ts lists them.
import type { SideName } from '../settings.ts';
import type { Bench } from './bench.ts';
import type { Report, Section } from './report.ts';

/** What the flags give unless a scenario has its own. */
export const ROUNDS = 7;

export interface Scenario {
  /** One line for the help and for the page. */
  about: string;
  /** Those that can take part. */
  sides: readonly SideName[];
  /** Sizes that it goes through one after the other, and what they count. */
  levels?: { of: string; all: readonly number[]; smoke: readonly number[]; max: number };
  /** Measured rounds without `--rounds`; default ROUNDS. Fewer where one takes minutes. */
  rounds?: number;
  /** A run with several syncs takes it with one of them only, for this reason. */
  once?: { at: 'first' | 'last'; because: string };
  /** The lease for servers that it shares with workers which will be killed. */
  leaseMs?: (isSmoke: boolean) => number | undefined;
  run(bench: Bench, section: Section, report: Report): Promise<void>;
}
