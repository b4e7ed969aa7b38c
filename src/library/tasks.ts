// What the library takes and gives about tasks.
import type { OutputChunk, Priority, TaskRecord, TaskState, TaskTerms } from './shapes.ts';

/** A task to publish. Every field has a default. */
export interface TaskSpec extends TaskTerms {
  /** Default: a new one. The same id is never queued twice. */
  id?: string;
  /** Capabilities that a worker must have to run it, at most 6; default none: any worker. */
  capabilities?: readonly string[];
  /** Default `medium`. */
  priority?: Priority;
  /** Who published it, for people to read; default: the actor. */
  createdBy?: string;
}

/** What came of a publish. */
export interface Published {
  /** The id that was given, or the new one. */
  id: string;
  /** False where the id was published before: nothing was queued, and `state` is what became of that task. */
  created: boolean;
  /** Its state now. */
  state: TaskState;
  /** Its record now. */
  record: TaskRecord;
}

/** What came of cancelling: `final` where the task had ended already. */
export interface Cancelled {
  /** Whether this call cancelled it. */
  kind: 'cancelled' | 'final';
  /** Its record now. */
  record: TaskRecord;
}

/** Which tasks; all conditions must hold. */
export interface TaskFilter {
  /** In any of these states; default: all. */
  states?: readonly TaskState[];
  /** Required capabilities, sorted and joined by `+`, or `any`. */
  lane?: string;
  /** Published with this priority. */
  priority?: Priority;
  /** Held last by this node. */
  node?: string;
  /** Of this repository. */
  repo?: string;
  /** Published before this time. */
  olderThan?: Date;
}

/** A task in a list. One that another client published and no node has claimed has no more than these four fields. */
export type TaskLine = Pick<TaskRecord, 'id' | 'state' | 'priority' | 'lane'> & Partial<TaskRecord>;

/** Lines that an attempt printed together. */
export interface OutputLine extends OutputChunk {
  /** Where it stands in the output of all tasks; later lines have larger ones. */
  seq: number;
  /** The attempt that printed it, from 1. */
  attempt: number;
  /** The node that ran it. */
  node: string;
}

/** In whose name something is done. */
export interface ActorOption {
  /** One token: letters, digits, `_` and `-`; default: the actor of the connection. */
  actor?: string;
}

/** When to give up. */
export interface SignalOption {
  /** Default: never. */
  signal?: AbortSignal;
}

/** Which output of a task, and until when. */
export interface OutputOptions extends SignalOption {
  /** Go on until the task ends; default: end with what is stored. */
  follow?: boolean;
}
