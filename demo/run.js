// @ts-check
// `npm run demo`: a server, two workers and some work over this repository's own files, with a task that fails at
// first, one that nobody can do, and a worker that is killed half-way. Every process is the built command.
// Promises:
//  1. It checks what it shows, and exits 0 only when all of that holds.
//  2. It touches nothing of the user's but the cache, where nats-server is kept.
//  3. It is over by its deadline, and takes its processes with it however it ends, short of SIGKILL.
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect } from 'orch';
import { check, checkCancelled, checkTasks, expectedResults, verdict } from './checks.js';
import { Fleet } from './fleet.js';
import { FINAL, printError, printEvent, printLine, printNodeEvent, printTable, printTitle } from './print.js';

/** @typedef {import('./print.js').Entry} Entry */
/** @typedef {import('./print.js').NodeEvent} NodeEvent */

const DEADLINE_MS = 90_000;
/** Long: what brings a killed worker's task back is that it is missed, not that its lease runs out. */
const LEASE = '1m';
/** Short, so that a killed worker is soon missed; the default is 15 s. */
const EXPIRY = '2s';
const WORKERS = { server: ['demo-server'], 'worker-a': ['count', 'shell'], 'worker-b': ['search', 'shell'] };
const WORKER_FLAGS = [
  ...['--concurrency', '2', '--drain-timeout', '1s', '--grace', '1s'],
  ...['--heartbeat', '500ms', '--expiry', EXPIRY],
];
/** The task that needs a capability nobody has. */
const UNSERVED = 'on-freebsd';
/** The task whose worker is killed, and the lines that it has printed by then: half of them. */
const LONG = 'long';
const LONG_LINES = 3;

const DEMO = fileURLToPath(new URL('.', import.meta.url));
const REPO = join(DEMO, '..');
const TASKS = join(DEMO, 'tasks.ndjson');
const FOLDER = mkdtempSync(join(tmpdir(), 'orch-demo-'));

// The one way to end early: for Ctrl-C, for the deadline, and for a process that ends though nobody asked it to.
const halt = new AbortController();
/** @type {Promise<never>} */
const halted = new Promise((_, reject) => {
  halt.signal.addEventListener('abort', () => reject(halt.signal.reason), { once: true });
});
halted.catch(() => {});
const fleet = new Fleet({ repo: REPO, folder: FOLDER, onLost: error => halt.abort(error) });
let waitingFor = 'nothing yet';
/** @type {NodeEvent[]} */
const nodeEvents = [];

async function story() {
  printTitle('A server and two workers, each with capabilities of its own');
  const url = await startFleet();
  const orch = await until('a connection', connect({ servers: [url] }));
  const ended = followEvents(url);

  printTitle('The tasks of demo/tasks.ndjson; one of them fails at first');
  const expected = expectedResults(REPO);
  /** @type {string[]} */
  const ids = (readFileSync(TASKS, 'utf8').match(/.+/g) ?? []).map(line => JSON.parse(line).id);
  await until('publish-task', fleet.run('publish-task', '--from', TASKS, '-s', url));
  for (const id of ids) if (id !== UNSERVED) await until(`the end of ${id}`, ended(id));

  printTitle(`What waits: ${UNSERVED} needs a capability that nobody has`);
  printLine(await until('lanes', fleet.run('lanes', '-s', url)));

  printTitle('A worker is killed half-way, and the other one takes over');
  const about = ['--id', LONG, '--caps', 'shell', '--description', 'lines of src, counted slowly'];
  const script = readFileSync(join(DEMO, 'long.sh'), 'utf8');
  await until('publish-task', fleet.run('publish-task', ...about, '-s', url, script));
  await until(`${LONG} to be half-way`, firstLines(orch, LONG, LONG_LINES));
  const { node: victim = '' } = await until(`the record of ${LONG}`, orch.getTask(LONG));
  await until(`the death of ${victim}`, fleet.kill(victim));
  printLine(`SIGKILL for ${victim}; silent for ${EXPIRY} it is lost, and its task is free again`);
  await until(`the end of ${LONG}`, ended(LONG));

  printTitle('In the end');
  const tasks = await until('the list of tasks', orch.listTasks());
  /** @type {Map<string, Entry[]>} */
  const histories = new Map();
  for (const { id } of tasks) histories.set(id, await until('a history', orch.taskHistory(id)));
  printTable(tasks, histories);

  printTitle('What the cluster says of itself');
  printLine(await until('nodes', fleet.run('nodes', '-s', url)));

  printTitle('Is it so?');
  checkTasks(histories, {
    ids: [...ids, LONG],
    unserved: UNSERVED,
    long: LONG,
    victim,
    workers: WORKERS,
    expected,
  });
  await until('cancel', fleet.run('cancel', UNSERVED, '--reason', 'nobody can', '-s', url));
  await until(`the end of ${UNSERVED}`, ended(UNSERVED));
  checkCancelled(await until('a history', orch.taskHistory(UNSERVED)));
  const lost = nodeEvents.filter(({ type }) => type === 'lost').map(({ node }) => node.id);
  check('the killed worker is lost, said once, and nobody else is', lost, [victim]);

  await orch.close();
  const exits = await until('the processes to drain and stop', fleet.stop());
  const wanted = { server: 0, 'worker-a': 0, 'worker-b': 0, events: 0, [victim]: 'SIGKILL' };
  check('all but the killed one drained and stopped when asked', exits, wanted);
  check('no process is left', await until('the last processes to end', fleet.gone()), []);
}

/** Starts the server and the workers; returns the server's URL. */
async function startFleet() {
  const up = start('server', ['up', '--port', '0', '--data', join(FOLDER, 'nats'), '--lease', LEASE]);
  const ready = up.said(/nats-server (\S+) on port (\d+)/);
  const [, version, port] = await until('the server; a first run downloads it', ready);
  printLine(`server    ${WORKERS.server}; nats-server ${version} on port ${port}`);
  const url = `nats://127.0.0.1:${port}`;
  for (const node of /** @type {const} */ (['worker-a', 'worker-b'])) {
    const worker = start(node, ['worker', '-s', url]);
    await until(node, worker.said(/worker ready/));
    printLine(`${node}  ${WORKERS[node].join(', ')}; process ${worker.child.pid}`);
  }
  return url;
}

/** @param {keyof typeof WORKERS} node @param {string[]} words */
function start(node, words) {
  return fleet.start(node, ...words, '--node', node, '--caps', WORKERS[node].join(), ...WORKER_FLAGS);
}

/**
 * Prints each event as it comes. What it returns waits until a task's final event has been printed.
 * @param {string} url
 */
function followEvents(url) {
  /** @type {Set<string>} */
  const final = new Set();
  const arrivals = new EventEmitter();
  // From the beginning, so that none is missed while the command connects.
  const { child } = fleet.start('events', 'events', '--since', '1h', '--json', '-s', url);
  createInterface({ input: child.stdout }).on('line', line => {
    /** @type {Entry | NodeEvent} */
    const entry = JSON.parse(line);
    if ('node' in entry) {
      nodeEvents.push(entry);
      printNodeEvent(entry);
    }
    if (!('task' in entry)) return;
    printEvent(entry);
    if (!FINAL.includes(entry.type)) return;
    final.add(entry.task.id);
    arrivals.emit(entry.task.id);
  });
  return async (/** @type {string} */ id) => {
    if (!final.has(id)) await once(arrivals, id);
  };
}

/**
 * Prints what a task prints, up to a number of lines.
 * @param {import('orch').Orch} orch
 * @param {string} id
 * @param {number} count
 */
async function firstLines(orch, id, count) {
  let seen = 0;
  for await (const { lines } of orch.output(id, { follow: true, signal: halt.signal })) {
    for (const line of lines) printLine(`${id}: ${line}`);
    seen += lines.length;
    if (seen >= count) return;
  }
}

/**
 * Waits for a promise, or throws what ends the demo early; the deadline then says what was waited for.
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function until(what, promise) {
  waitingFor = what;
  return Promise.race([promise, halted]);
}

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, () => {
    // The first one drains, the second one does not.
    if (process.exitCode !== undefined) process.exit();
    process.exitCode = code;
    halt.abort(new Error(`${signal}; stopping what was started`));
  });
}
// Whoever read the output has left, as in `npm run demo | head`.
process.stdout.on('error', () => process.exit(1));
process.once('exit', () => {
  fleet.killAll();
  rmSync(FOLDER, { recursive: true, force: true, maxRetries: 5 });
});
setTimeout(() => {
  fleet.killAll();
  halt.abort(new Error(`not over after ${DEADLINE_MS / 1_000} s; it waited for ${waitingFor}`));
}, DEADLINE_MS);

try {
  await story();
  process.exit(verdict() ? 0 : 1);
} catch (error) {
  printError(error);
  // Who pressed Ctrl-C knows why it ended.
  if (process.exitCode === undefined) printError(fleet.lastWords());
  await fleet.stop();
  process.exit(process.exitCode ?? 1);
}
