// The scenarios by name.
import { cli } from './cli.ts';
import { dispatch } from './dispatch.ts';
import { throughput } from './throughput.ts';

export const SCENARIOS = { dispatch, throughput, cli };
export type ScenarioName = keyof typeof SCENARIOS;
