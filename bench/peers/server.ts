// A server of a peer as a guarded child process: it does not outlive this process, and its output is in a file.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGuarded } from '../../src/process/index.ts';
import { Absent } from '../sides/side.ts';

const READY_MS = 30_000;
const STOP_MS = 20_000;

/** The user that a process runs as; undefined: the same as this one. */
export interface User {
  uid: number;
  gid: number;
}

/** A server that accepts clients. */
export interface PeerServer {
  pid: number;
  stop(): Promise<void>;
}

/** Starts a server and returns when `isReady`. SIGINT stops it. */
export async function startPeer(
  command: string[],
  { dataDir, user, isReady }: { dataDir: string; user?: User | undefined; isReady: () => Promise<boolean> },
): Promise<PeerServer> {
  const log = join(dataDir, 'server.log');
  const output = openSync(log, 'a');
  const { pid, ended, stop } = startGuarded({
    command,
    cwd: dataDir,
    stdio: ['ignore', output, output],
    user,
    stops: 'command',
    stopSignal: 'SIGINT',
    graceMs: STOP_MS,
  });
  closeSync(output);
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  const deadline = performance.now() + READY_MS;
  while (!(await isReady().catch(() => false))) {
    if (!hasEnded && performance.now() < deadline) {
      await sleep(50);
      continue;
    }
    await stop();
    throw new Error(`${command[0]} is not ready: ${readFileSync(log, 'utf8').trim().split('\n').at(-1)}`);
  }
  return {
    pid,
    stop: async () => {
      await stop();
    },
  };
}

/** The output of a program's `--version`. Throws Absent with the advice when the program is not installed. */
export function versionOf(program: string, advice: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Absent(`${program} is not there: ${advice}`);
  }
}
