// The scenarios by name.
import type { Scenario } from '../harness/scenario.ts';
import type { ScenarioName } from '../settings.ts';
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
import { sustained } from './sustained.ts';
import { throughput } from './throughput.ts';

const SCENARIOS = {
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
} satisfies Record<ScenarioName, Scenario>;

/** A scenario by its name. */
export const scenarioOf = (name: ScenarioName): Scenario => SCENARIOS[name];
