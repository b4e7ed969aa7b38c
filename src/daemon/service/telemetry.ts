// What a worker reports of its work, for metrics and for the agents that are put on tasks.
import type { AgentStatus, TaskRecord } from '../../protocol/index.ts';

export interface Telemetry {
  /** A delivery came; `deliveryCount` over 1 is a redelivery. */
  delivered(deliveryCount: number): void;
  claimed(record: TaskRecord): void;
  /** A lease was renewed. */
  renewed(): void;
  /** An attempt ended; `fenced`: its end was refused, because another holder has the task. */
  ended(record: TaskRecord, how: 'written' | 'fenced'): void;
}

export const uncounted: Telemetry = { delivered() {}, claimed() {}, renewed() {}, ended() {} };

/** Puts agents on tasks. */
export interface AgentDesk {
  /** The agent that works on a task; undefined when none is free. */
  assign(task: string): string | undefined;
  /** Reports the status of an agent's task. */
  report(agent: string, status: AgentStatus): void;
}
