// CPU time of client and server, and memory of the server: what a task costs, where elapsed time also depends on how busy
// the machine was. All sides share this process, so its memory is not measured.
// Read from /proc, a server's children included; where there is no /proc, figures are left out.
import { readFileSync } from 'node:fs';

/** Ticks of /proc/<pid>/stat; 100 a second on every Linux that Node runs on. */
const TICK_US = 10_000;
/** A PostgreSQL with a hundred clients has some hundred and ten processes; more than this is not one server. */
const PROCESSES_MAX = 1_000;

/** What some tasks took, of this process and of the server. */
export interface Usage {
  clientCpuUs: number;
  /** Undefined where there is no /proc. */
  serverCpuUs: number | undefined;
  serverBytes: number | undefined;
}

/** Measures CPU time from `start` to `stop`, and memory at `stop`. */
export class Meter {
  readonly #serverPid: number;
  readonly #clientPids: readonly number[];
  #before: { client: number; server: number | undefined } | undefined;

  /** `clientPids`: further processes that work for this one. */
  constructor(serverPid: number, clientPids: readonly number[] = []) {
    this.#serverPid = serverPid;
    this.#clientPids = clientPids;
  }

  /** Further calls change nothing. */
  start(): void {
    this.#before ??= this.#read();
  }

  stop(): Usage {
    const { client, server } = this.#read();
    const before = this.#before ?? { client, server };
    return {
      clientCpuUs: client - before.client,
      serverCpuUs: server === undefined ? undefined : server - (before.server ?? 0),
      serverBytes: memoryOf(this.#serverPid),
    };
  }

  #read(): { client: number; server: number | undefined } {
    const { user, system } = process.cpuUsage();
    return { client: user + system + sumOf(this.#clientPids, cpuOf), server: cpuOf(this.#serverPid) };
  }
}

const sumOf = (pids: readonly number[], read: (pid: number) => number | undefined): number =>
  pids.reduce((sum, pid) => sum + (read(pid) ?? 0), 0);

// Of the process, of its children that have ended, and of those that run.
function cpuOf(pid: number): number | undefined {
  return ofTree(pid, process => {
    // The name, second in the line, may hold spaces; what follows its bracket does not.
    const fields = readFileSync(`/proc/${process}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
    return ((user ?? 0) + (system ?? 0) + (childrenUser ?? 0) + (childrenSystem ?? 0)) * TICK_US;
  });
}

// Proportional, so that what PostgreSQL's processes share is counted once.
function memoryOf(pid: number): number | undefined {
  return ofTree(pid, process => {
    const rollup = readFileSync(`/proc/${process}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
  });
}

function ofTree(root: number, read: (pid: number) => number): number | undefined {
  let total: number | undefined;
  const pids = [root];
  for (const pid of pids) {
    try {
      total = (total ?? 0) + read(pid);
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
      if (pids.length < PROCESSES_MAX) pids.push(...children.filter(Boolean).map(Number));
    } catch {
      // It has ended, or there is no /proc.
    }
  }
  return total;
}
