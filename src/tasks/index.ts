// What orch knows about tasks: publishing, claiming, ending, and looking at them.
export { Attempt, type Written } from './attempt.ts';
export { listTasks, openSince, type TaskFilter, type TaskLine, trimBoard, unservableTasks } from './board.ts';
export { type Cancelled, cancelTask, unclaimedRecord } from './cancel.ts';
export { type Claimant, type ClaimOutcome, claim } from './claim.ts';
export { retryTask } from './dead-letters.ts';
export { refuseMessage } from './invalid.ts';
export { type JournalLine, lastEntry, taskJournal, tryReadEntry } from './journal.ts';
export { countOutsideLanes, rankFor } from './lanes.ts';
export {
  afterFailure,
  afterRelease,
  apply,
  backoffMs,
  type Change,
  decideClaim,
  queuedRecord,
  TRANSITIONS,
} from './lifecycle.ts';
export {
  claimNamed,
  claimNext,
  type ManualClaim,
  resumeAttempt,
  type Ticket,
  ticketOf,
} from './manual-claim.ts';
export { newTaskId, type Published, publishTask, type TaskSpec } from './publish.ts';
export { flagService, HALF_PUBLISHED_MS, type Repaired, repairTask } from './repair.ts';
export { childSpan } from './trace.ts';
export {
  followTask,
  getTask,
  type OutputLine,
  outputToEnd,
  publishAndWait,
  taskHistory,
  taskOutput,
  waitForTask,
} from './watch.ts';
