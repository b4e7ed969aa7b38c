// What a worker says of its work as it goes, for whoever counts it and for the agents that are on it.
import type { AgentStatus, TaskRecord } from '../../protocol/index.ts';

export interface Telemetry {
  /** A delivery came; `deliveryCount` over 1 is a redelivery. */
  delivered(deliveryCount: number): void;
  claimed(record: TaskRecord): void;
  /** A lease was renewed. */
  renewed(): void;
  /** An attempt ended; `fenced`: its end was refused, for the task is somebody else's by now. */
  ended(record: TaskRecord, how: 'written' | 'fenced'): void;
}

export const uncounted: Telemetry = { delivered() {}, claimed() {}, renewed() {}, ended() {} };

/** Who puts agents on tasks. */
export interface AgentDesk {
  /** The agent that works on a task; undefined when none is free. */
  assign(task: string): string | undefined;
  /** How an agent's task goes. */
  report(agent: string, status: AgentStatus): void;
}
