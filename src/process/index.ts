// The door of the processes: children that cannot outlive this process, and whether a process runs.
export { isAlive } from './alive.ts';
export {
  type GuardedEnd,
  type GuardedOptions,
  type GuardedProcess,
  startGuarded,
} from './guarded.ts';
