// How busy this machine is.
import { cpus, freemem, totalmem } from 'node:os';

/** A shorter window is too coarse: the system counts in ticks of 10 ms. */
const WINDOW_MS_MIN = 1_000;

/** Measures CPU use from one reading to the next, over all cores. */
export class MachineMeter {
  #before = cpuTimes();
  #cpuPercent = 0;

  /** Percent of the machine, 0 to 100, with one decimal. */
  read(): { cpuPercent: number; memoryPercent: number } {
    const now = cpuTimes();
    const [busy, total] = [now.busy - this.#before.busy, now.total - this.#before.total];
    if (total / cpus().length >= WINDOW_MS_MIN) {
      this.#before = now;
      this.#cpuPercent = percent(busy / total);
    }
    return { cpuPercent: this.#cpuPercent, memoryPercent: percent(1 - freemem() / totalmem()) };
  }
}

function cpuTimes(): { busy: number; total: number } {
  let [busy, total] = [0, 0];
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.irq + times.idle;
    total += all;
    busy += all - times.idle;
  }
  return { busy, total };
}

const percent = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * 1_000) / 10;
