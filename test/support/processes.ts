// Which processes run, from the system's own list. One that has ended may be listed until its new parent has noticed.
import { execFileSync } from 'node:child_process';

/** Whether a process runs. */
export const isRunning = (pid: number): boolean => listRunning().some(running => running.pid === pid);

/** Whether any process of a group runs. */
export const isGroupRunning = (group: number): boolean =>
  listRunning().some(running => running.group === group);

function listRunning(): { pid: number; group: number }[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,pgid=,stat='], { encoding: 'utf8' })
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, , state]) => state !== undefined && !state.startsWith('Z'))
    .map(([pid, group]) => ({ pid: Number(pid), group: Number(group) }));
}
