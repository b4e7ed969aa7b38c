// A server as a child of this process, which does not outlive it: a guard waits on a pipe that this process holds, and
// when the pipe closes, however that came about, the guard stops the server.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Absent } from '../sides/side.ts';

const GUARDED = `
(trap '' TERM INT HUP; read -r _ <&3; kill -INT $$) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`;
const READY_MS = 30_000;
const STOP_MS = 20_000;

/** Whom a process runs as; undefined: as this one. */
export interface User {
  uid: number;
  gid: number;
}

export interface GuardedServer {
  pid: number;
  stop(): Promise<void>;
}

/** Starts a server and returns when `isReady`. It is stopped by SIGINT. */
export async function startGuarded(
  command: string[],
  { dataDir, user, isReady }: { dataDir: string; user?: User | undefined; isReady: () => Promise<boolean> },
): Promise<GuardedServer> {
  const log = join(dataDir, 'server.log');
  const output = openSync(log, 'a');
  const child = spawn('/bin/sh', ['-c', GUARDED, 'bench', ...command], {
    cwd: dataDir,
    stdio: ['ignore', output, output, 'pipe'],
    detached: true,
    ...user,
  });
  closeSync(output);
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve()).once('error', () => resolve());
  });
  void exited.then(() => child.stdio[3]?.destroy());
  const deadline = performance.now() + READY_MS;
  while (!(await isReady().catch(() => false))) {
    if (child.exitCode === null && performance.now() < deadline) {
      await sleep(50);
      continue;
    }
    await stop(child, exited);
    throw new Error(`${command[0]} is not ready: ${readFileSync(log, 'utf8').trim().split('\n').at(-1)}`);
  }
  return { pid: child.pid ?? 0, stop: () => stop(child, exited) };
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(timer);
}

/** The output of a program's `--version`. Throws Absent with the advice when there is no such program. */
export function versionOf(program: string, advice: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Absent(`${program} is not there: ${advice}`);
  }
}
