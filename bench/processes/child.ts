// A worker in a process of its own, for scenarios that need a second one or one to kill. Its handlers report
// to the parent through the channel; times are of the machine's monotonic clock, which both sides read.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../src/protocol/index.ts';
import type { SideName } from '../settings.ts';
import { type Hooks, LANE, loadSide, type OrchLibrary } from '../sides/index.ts';

/** Events are sent in bundles, so that reporting does not cost what is measured. */
const BUNDLE_MS = 20;
/** A child that is not ready after this is broken. */
const READY_MS = 30_000;

/** The command line of a child. */
interface Orders {
  side: SideName;
  url: string;
  slots: number;
  leaseMs?: number;
  /** Its handlers start and never end. */
  holds: boolean;
}

interface Bundle {
  ready?: boolean;
  started?: [n: number, atMs: number][];
  ended?: [n: number, atMs: number][];
  failed?: [n: number, error: string][];
}

/** Milliseconds of a clock that all processes of this machine share. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface ChildHooks {
  started(n: number, atMs: number): void;
  ended(n: number, atMs: number): void;
  failed(n: number, error: unknown): void;
}

export interface ChildWorker {
  pid: number;
  /** `kill -9`; returns when it is gone. */
  kill(): Promise<void>;
  /** Lets it stop its worker; returns when it is gone and all of its reports have arrived. */
  stop(): Promise<void>;
}

/** Starts a worker process; returns when it is ready for tasks. */
export async function startChild(orders: Orders, hooks: ChildHooks): Promise<ChildWorker> {
  const script = fileURLToPath(new URL('../processes/child.js', import.meta.url));
  const child = fork(script, [JSON.stringify(orders)], { execArgv: [] });
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`worker process of ${orders.side} was not ready in ${READY_MS / 1_000}s`));
    }, READY_MS);
    void gone.then(() => reject(new Error(`worker process of ${orders.side} ended early`)));
    child.on('message', ({ ready, started = [], ended = [], failed = [] }: Bundle) => {
      for (const [n, atMs] of started) hooks.started(n, atMs);
      for (const [n, atMs] of ended) hooks.ended(n, atMs);
      for (const [n, error] of failed) hooks.failed(n, error);
      if (!ready) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return {
    pid: child.pid ?? 0,
    kill: () => {
      child.kill('SIGKILL');
      return gone;
    },
    stop: () => {
      if (child.connected) child.send('stop');
      return gone;
    },
  };
}

/** The child's side. */
export async function runChild(argv: readonly string[], orch: OrchLibrary): Promise<void> {
  const { side: name, url, slots, leaseMs, holds } = JSON.parse(argv[0] ?? '{}') as Orders;
  let bundle: Bundle = {};
  const report = () => {
    if (Object.keys(bundle).length > 0) process.send?.(bundle);
    bundle = {};
  };
  const hooks: Hooks = {
    started: n => {
      bundle.started ??= [];
      bundle.started.push([n, machineMs()]);
      return holds ? new Promise(() => {}) : undefined;
    },
    ended: n => {
      bundle.ended ??= [];
      bundle.ended.push([n, machineMs()]);
    },
    failed: (n, error) => {
      bundle.failed ??= [];
      bundle.failed.push([n, messageOf(error)]);
    },
  };
  const side = await loadSide(name, orch);
  const lease = leaseMs === undefined ? {} : { leaseMs };
  const worker = await side.openWorker(url, { slots, hooks, lanes: [LANE], ...lease });
  const reporting = setInterval(report, BUNDLE_MS);
  // A parent that is gone needs no worker.
  process.once('disconnect', () => process.exit(1));
  process.once('message', async () => {
    await worker.close();
    clearInterval(reporting);
    process.removeAllListeners('disconnect');
    report();
    process.disconnect?.();
    process.exitCode = 0;
  });
  bundle.ready = true;
  report();
}
