// A service: a part of a node that runs by itself, such as its worker or its chores. The daemon starts the services in
// order, passes on what it is asked, and stops them in the opposite order.
import type { Service as MicroService } from '../../bus/index.ts';
import type { NodeRecord } from '../../protocol/index.ts';

export interface NodeService {
  /** Starts, and returns when it is ready. Throws `unavailable` without a server; it is then called again. */
  start(): Promise<void> | void;
  /** Takes no new work; what runs goes on. */
  pause?(): void;
  /** Takes work again. */
  resume?(): void;
  /** Gives back what runs, now. */
  giveBack?(): void;
  /** Ends what runs at once, without grace. */
  stopNow?(): void;
  /** The node is leaving: takes no new work, and returns when nothing runs. */
  finish?(): Promise<void>;
  /** Ends what `start` began. Safe to call where it was never started. */
  stop(): Promise<void> | void;
  /** Its fields of the node's record, as they are now. */
  presence?(): Partial<NodeRecord>;
  /** Adds the requests that it answers to the node's micro service. */
  serve?(service: MicroService): void;
  /** The node was silent for so long that its key expired: what it held may have another holder by now. */
  returned?(): void;
}
