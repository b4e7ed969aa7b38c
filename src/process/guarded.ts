// Runs a command as a guarded child process, in a process group of its own.
// Promises:
//  1. Nothing of the group outlives this process, even when it is killed by SIGKILL.
//  2. `stop` ends the command: first a signal that it can handle, and after the grace SIGKILL to the whole group.
//  3. When the command has ended, the rest of its group is killed. `ended` then settles, even while a process that left
//     the group (by setsid) keeps a pipe open.
// A process that leaves the group is not guarded.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../protocol/index.ts';

/** How long the output of an ended command may stay open before it is given up, in milliseconds. */
const PIPES_CLOSE_MS = 1_000;
/** The longest grace of a command whose parent has died: another worker may have taken up its task. */
const ORPHAN_GRACE_MS_MAX = 5_000;

/** How to run a command and how to end it. */
export interface GuardedOptions {
  /** The program and its arguments. One that cannot be found ends with exit code 127, as in a shell. */
  command: readonly string[];
  /** Default: that of this process. */
  cwd?: string;
  /** Default: that of this process. */
  env?: NodeJS.ProcessEnv;
  /** stdin, stdout and stderr. */
  stdio: readonly ['pipe' | 'ignore', 'pipe' | 'ignore' | number, 'pipe' | 'ignore' | number];
  /** User and group to run as. Default: those of this process. */
  user?: { uid: number; gid: number } | undefined;
  /** Who gets the stop signal: the command alone, which ends its own children, or all of its group. */
  stops: 'command' | 'group';
  /** Default SIGTERM. */
  stopSignal?: 'SIGTERM' | 'SIGINT';
  /** From the stop signal to SIGKILL, in milliseconds. */
  graceMs: number;
}

/** How a command ended. */
export type GuardedEnd =
  | { kind: 'exited'; code: number | null; signal: NodeJS.Signals | null }
  | { kind: 'unstartable'; error: string };

/** A command that runs, or did. */
export interface GuardedProcess {
  /** For its pipes. */
  child: ChildProcess;
  /** Of the command, and of its group; 0 when it could not be started. */
  pid: number;
  /** Settles when the command and all of its group have ended; never rejects. */
  ended: Promise<GuardedEnd>;
  /** Ends the command; settles with `ended`. Calling it again, or after the end, does nothing more. */
  stop(): Promise<GuardedEnd>;
  /** Kills the whole group now, without grace; settles with `ended`. */
  kill(): Promise<GuardedEnd>;
}

/** Starts a command. A start that fails is an end too. */
export function startGuarded(options: GuardedOptions): GuardedProcess {
  const { command, cwd, env, stdio, user, stops, stopSignal = 'SIGTERM', graceMs } = options;
  const child = spawn('/bin/sh', ['-c', guardScript(stops, stopSignal, graceMs), 'orch', ...command], {
    cwd,
    env,
    stdio: [...stdio, 'pipe'],
    detached: true,
    ...user,
  });
  const ended = endOf(child);
  let isStopping = false;
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    stop: () => {
      // After the end, the id may belong to another process.
      if (isStopping || hasExited(child)) return ended;
      isStopping = true;
      signalProcess(child, stops, stopSignal);
      const kill = setTimeout(() => signalProcess(child, 'group', 'SIGKILL'), graceMs);
      child.once('exit', () => clearTimeout(kill));
      return ended;
    },
    kill: () => {
      if (!hasExited(child)) signalProcess(child, 'group', 'SIGKILL');
      return ended;
    },
  };
}

// The guard is a process of the group that reads a pipe of which this process holds the other end. The pipe closes when
// this process ends, in whatever way, and the guard does what `stop` would have done. While the guard lives, the system
// gives the group's id, which is the command's, to no other process.
function guardScript(stops: GuardedOptions['stops'], stopSignal: string, graceMs: number): string {
  return `
(
  trap '' TERM INT HUP
  read -r _ <&3
  kill -${stopSignal.slice('SIG'.length)} ${stops === 'group' ? '0' : '$$'}
  seconds=${Math.ceil(Math.min(graceMs, ORPHAN_GRACE_MS_MAX) / 1_000)}
  while [ $seconds -gt 0 ] && kill -0 $$; do sleep 1; seconds=$((seconds - 1)); done
  kill -KILL 0
) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;
}

async function endOf(child: ChildProcess): Promise<GuardedEnd> {
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()));
  const end = await new Promise<GuardedEnd>(resolve => {
    child.once('error', error => resolve({ kind: 'unstartable', error: messageOf(error) }));
    child.once('exit', (code, signal) => resolve({ kind: 'exited', code, signal }));
  });
  if (end.kind === 'exited') {
    // Promise 3: the guard, and what the command left in the background.
    signalProcess(child, 'group', 'SIGKILL');
    const waited = new AbortController();
    await Promise.race([closed, sleep(PIPES_CLOSE_MS, undefined, { signal: waited.signal }).catch(() => {})]);
    waited.abort();
  }
  return end;
}

const hasExited = ({ pid, exitCode, signalCode }: ChildProcess): boolean =>
  pid === undefined || exitCode !== null || signalCode !== null;

function signalProcess(child: ChildProcess, target: 'command' | 'group', signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(target === 'group' ? -child.pid : child.pid, signal);
  } catch {
    // It has ended already.
  }
}
