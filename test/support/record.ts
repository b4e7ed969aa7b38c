// Records for tests that need no server, at a fixed time.
import { TaskMessage, type TaskRecord } from '../../src/protocol/index.ts';
import { queuedRecord } from '../../src/tasks/index.ts';

export const NOW = new Date('2026-01-31T12:00:00.000Z');
export const AT = NOW.toISOString();
export const LEASE_MS = 15_000;
export const ADDRESS = { taskId: 't-1', priority: 'medium', lane: 'any' } as const;

/** The record of a task that was just published, with some fields as a test wants them. */
export const newRecord = (fields: Partial<TaskRecord> = {}): TaskRecord => ({
  ...queuedRecord(ADDRESS, TaskMessage.parse({}), AT),
  ...fields,
});
