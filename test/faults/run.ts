// One run: a world, a load and faults beside each other, then healing, a wait until nothing happens any more, the
// reading of what is left, and the end of all processes.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Facts, ListedTask } from './checks.ts';
import { Drive } from './drive.ts';
import { perform, Skipped } from './faults.ts';
import { NODES, OPERATOR, PUBLISHERS } from './fleet.ts';
import { JournalReader } from './journal.ts';
import type { PlannedTask } from './load.ts';
import { byTask, isAtWork, replay } from './replay.ts';
import { describeFault, type Fault } from './schedule.ts';
import { World, type WorldOptions } from './world.ts';

const READY_MS = 120_000;
/** Where so long nothing was written about any task, nothing happens any more: longer than leases, pauses, elections. */
const QUIET_MS = 60_000;
/** A fleet that is still at work after so long is judged as it is. */
const QUIET_WAIT_MS_MAX = 300_000;
const POLL_MS = 500;
/** A guard of a task's processes kills what is left of them after 5 s. */
const LEFTOVER_MS = 20_000;

export interface Plan {
  tasks: readonly PlannedTask[];
  faults: readonly Fault[];
  durationMs: number;
}

export interface FaultDone {
  fault: Fault;
  beganMs: number;
  endedMs: number;
  skipped: string | undefined;
}

export interface RunResult {
  facts: Facts;
  faults: FaultDone[];
  publisherEnds: number;
  /** From the beginning of the load to the end of the wait. */
  tookMs: number;
}

/** Runs to the end, whatever is found; the world is gone then. Throws the signal's reason when it aborts. */
export async function run(
  plan: Plan,
  options: WorldOptions,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<RunResult> {
  const world = await World.create({ ...options, report });
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // What is under way when the run is interrupted fails where nothing waits for it.
  const running = breakAndJudge(plan, world, options, report, signal);
  running.catch(() => {});
  interrupted.catch(() => {});
  try {
    return await Promise.race([running, interrupted]);
  } finally {
    await world.dispose();
  }
}

async function breakAndJudge(
  plan: Plan,
  world: World,
  { servers, cookie }: WorldOptions,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<RunResult> {
  if (world.servers.noDisk !== undefined) report(`NO DISK WILL BE FULL: ${world.servers.noDisk}`);
  for (const { id } of NODES) world.startWorker(id);
  await fleetIsThere(world);
  report(`${NODES.length} workers and ${servers} ${servers === 1 ? 'server' : 'servers'} are there`);
  const drive = new Drive(world, plan.tasks);
  const began = performance.now();
  const [faults] = await Promise.all([
    performAll(plan.faults, world, drive, report, signal),
    drive.run(signal),
  ]);
  report('all healed; waiting for the publishers and the operator');
  await drive.close();
  report('waiting until nothing happens');
  const reader = await JournalReader.open(world.servers.urls);
  const isQuiet = await untilQuiet(reader, drive);
  report(isQuiet ? 'nothing happens any more' : 'STILL AT WORK; judged as it is');
  const left = await readAll(world, reader, drive);
  const tookMs = Math.round(performance.now() - began);
  await reader.close();
  await Promise.all(NODES.map(({ id }) => world.stopWorker(id)));
  await world.dispose();
  const { acknowledged, cancelled, retried, publisherEnds } = drive;
  const { spells, stops, deaths } = world;
  const names = [...NODES.map(({ id }) => id), ...PUBLISHERS, OPERATOR];
  const facts: Facts = {
    planned: plan.tasks,
    ...{ acknowledged, cancelled, retried },
    ...left,
    isQuiet,
    ...{ spells, stops, deaths },
    ran: world.ran(),
    logs: new Map(names.map(name => [name, world.logOf(name)])),
    leftovers: await leftoversOf(cookie),
  };
  return { facts, faults, publisherEnds, tookMs };
}

async function fleetIsThere(world: World): Promise<void> {
  const deadline = Date.now() + READY_MS;
  const reader = await JournalReader.open(world.servers.urls);
  try {
    while (Date.now() < deadline) {
      const known = await reader.knownNodes().catch(() => new Set<string>());
      if (NODES.every(({ id }) => known.has(id))) return;
      await sleep(POLL_MS);
    }
    throw new Error(`the workers were not there within ${READY_MS / 1_000} s, see ${world.logs}`);
  } finally {
    await reader.close();
  }
}

// Begins each fault when it is due; returns when all are healed.
async function performAll(
  faults: readonly Fault[],
  world: World,
  drive: Drive,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<FaultDone[]> {
  const began = performance.now();
  const sinceMs = () => Math.round(performance.now() - began);
  const one = async (fault: Fault): Promise<FaultDone> => {
    const beganMs = sinceMs();
    report(describeFault(fault));
    const skipped = await perform(fault, world, drive).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Skipped) return error.message;
        throw error;
      },
    );
    if (skipped !== undefined) report(`SKIPPED ${describeFault(fault)}: ${skipped}`);
    return { fault, beganMs, endedMs: sinceMs(), skipped };
  };
  const done: Promise<FaultDone>[] = [];
  for (const fault of faults) {
    await sleep(Math.max(0, fault.atMs - sinceMs()), undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    done.push(one(fault));
  }
  return Promise.all(done);
}

// Quiet: no acknowledged task is open, or nothing was written about any task for long.
async function untilQuiet(reader: JournalReader, drive: Drive): Promise<boolean> {
  const began = Date.now();
  let [lastSeq, changedAt] = [0, began];
  while (Date.now() - began < QUIET_WAIT_MS_MAX) {
    const seq = await reader.lastSeq().catch(() => lastSeq);
    if (seq !== lastSeq) [lastSeq, changedAt] = [seq, Date.now()];
    if (Date.now() - changedAt > QUIET_MS) return true;
    const isEmpty = await reader.queued().then(
      ids => ![...ids].some(id => drive.acknowledged.has(id)),
      () => false,
    );
    if (isEmpty) return true;
    await sleep(POLL_MS);
  }
  return false;
}

type Left = Pick<Facts, 'lines' | 'unreadable' | 'listed' | 'listedAt' | 'queued' | 'dead' | 'held'>;

async function readAll(world: World, reader: JournalReader, drive: Drive): Promise<Left> {
  const listedAt = await reader.lastSeq();
  const listed = JSON.parse((await world.list()) || '[]') as ListedTask[];
  const { lines, unreadable } = await reader.read();
  const held = new Set<string>();
  for (const [id, entries] of byTask(lines)) {
    const { record } = replay(entries);
    if (!drive.acknowledged.has(id) || !isAtWork(record) || record.node === undefined) continue;
    if (await reader.holds(record.node, id)) held.add(id);
  }
  const [queued, dead] = [await reader.queued(), await reader.dead()];
  return { lines, unreadable, listed, listedAt, queued, dead, held };
}

// Processes whose environment has the run's cookie: daemons, servers, and what tasks started.
async function leftoversOf(cookie: string): Promise<string[]> {
  for (const deadline = Date.now() + LEFTOVER_MS; ; await sleep(POLL_MS)) {
    const left = readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .filter(pid => textOf(pid, 'environ').includes(cookie))
      .map(pid => `${pid} ${textOf(pid, 'cmdline').replaceAll('\0', ' ').slice(0, 200)}`);
    if (left.length === 0 || Date.now() > deadline) return left;
  }
}

function textOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
