// Publishing in the name of a test.
import type { Bus } from '../../src/bus/index.ts';
import { type Published, publishTask as publish, type TaskSpec } from '../../src/tasks/index.ts';

/** Publishes a task as `actor`. */
export const publishTask = (bus: Bus, spec: TaskSpec, actor = 'tester'): Promise<Published> =>
  publish(bus, spec, actor);
