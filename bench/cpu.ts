// CPU time, which says what a task costs where elapsed time says how busy the machine was.
import { readFileSync } from 'node:fs';

/** Ticks of /proc/<pid>/stat; 100 a second on every Linux that Node runs on. */
const TICK_US = 10_000;

/** CPU time per task, of this process and of the server, in microseconds. */
export interface CpuPerTask {
  clientUs: number;
  /** Undefined where there is no /proc. */
  serverUs: number | undefined;
}

/** Measures from the first `start` to `perTask`. */
export class CpuMeter {
  readonly #serverPid: number;
  #before: { client: NodeJS.CpuUsage; server: number | undefined } | undefined;
  #tasks = 0;

  constructor(serverPid: number) {
    this.#serverPid = serverPid;
  }

  start(): void {
    this.#before ??= { client: process.cpuUsage(), server: cpuOf(this.#serverPid) };
  }

  count(): void {
    this.#tasks++;
  }

  perTask(): CpuPerTask {
    const { user, system } = process.cpuUsage(this.#before?.client);
    const server = cpuOf(this.#serverPid);
    const tasks = Math.max(1, this.#tasks);
    return {
      clientUs: (user + system) / tasks,
      serverUs: server === undefined ? undefined : (server - (this.#before?.server ?? 0)) / tasks,
    };
  }
}

function cpuOf(pid: number): number | undefined {
  try {
    // The name, second in the line, may hold spaces; what follows its bracket does not.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return undefined;
  }
}
