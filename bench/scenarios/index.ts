// The scenarios by name, in the order in which they run.
import { backlog } from './backlog.ts';
import { cli } from './cli.ts';
import { dispatch } from './dispatch.ts';
import { drain } from './drain.ts';
import { durable } from './durable.ts';
import { events } from './events.ts';
import { lanes } from './lanes.ts';
import { presence } from './presence.ts';
import { publish } from './publish.ts';
import { recall } from './recall.ts';
import { recovery } from './recovery.ts';
import { roundtrip } from './roundtrip.ts';
import { scatter } from './scatter.ts';
import type { Scenario } from './scenario.ts';
import { sustained } from './sustained.ts';
import { throughput } from './throughput.ts';

export { ROUNDS, type Scenario } from './scenario.ts';

export const SCENARIOS = {
  dispatch,
  roundtrip,
  throughput,
  publish,
  drain,
  sustained,
  lanes,
  backlog,
  recovery,
  events,
  presence,
  recall,
  scatter,
  durable,
  cli,
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];
export const scenarioOf = (name: ScenarioName): Scenario => SCENARIOS[name];
