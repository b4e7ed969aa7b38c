// @ts-check
// Whether the demo did what it shows. The results are found again here, without orch and without a shell.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { FINAL, printCheck, printTitle, text } from './print.js';

/** @typedef {import('./print.js').Entry} Entry */

let held = 0;
let failed = 0;

/**
 * @param {string} title
 * @param {unknown} actual
 * @param {unknown} expected
 */
export function check(title, actual, expected) {
  const isSo = isDeepStrictEqual(actual, expected);
  if (isSo) held++;
  else failed++;
  printCheck(title, isSo ? undefined : `found ${text(actual)} instead of ${text(expected)}`);
}

/** Prints how many checks hold; true when all do. */
export function verdict() {
  printTitle(failed === 0 ? `All ${held} checks hold.` : `${failed} of ${held + failed} checks FAILED.`);
  return failed === 0;
}

/**
 * @param {Map<string, Entry[]>} histories
 * @param {object} story
 * @param {string[]} story.ids all that were published
 * @param {string} story.unserved
 * @param {string} story.long
 * @param {string} story.victim the worker that was killed
 * @param {Record<string, string[]>} story.workers capabilities by node
 * @param {Record<string, unknown>} story.expected results by task
 */
export function checkTasks(histories, { ids, unserved, long, victim, workers, expected }) {
  /** @param {string} id */
  const history = id => histories.get(id) ?? [];
  /** @param {string} id */
  const nodes = id => claims(history(id)).map(({ actor }) => actor);
  const served = ids.filter(id => id !== unserved);

  check(
    'every task that was published is listed, and no other',
    [...histories.keys()].sort(),
    ids.toSorted(),
  );
  check(
    'each that can be done has exactly one final entry: done',
    served.filter(id => finals(history(id)).join() !== 'done'),
    [],
  );
  check('each of them has a result to compare', Object.keys(expected).sort(), served.toSorted());
  for (const [id, result] of Object.entries(expected)) {
    const found = history(id).at(-1)?.task.result;
    check(`${id} found ${text(result)}`, typeof found === 'string' ? found.trim() : found, result);
  }
  check(
    'each ran only where all that it needs is offered',
    served.filter(id =>
      nodes(id).some(node => !offers(workers[node] ?? [], history(id)[0]?.task.lane ?? '')),
    ),
    [],
  );
  check(
    'second-try failed, and was done as attempt 2',
    history('second-try').map(({ type, task }) => `${type} ${task.attempt}`),
    ['queued 0', 'claimed 1', 'retrying 1', 'claimed 2', 'done 2'],
  );
  const survivor = victim === 'worker-a' ? 'worker-b' : 'worker-a';
  check(
    `${long} began on ${victim}, was done by ${survivor} as attempt 2`,
    history(long).map(({ type, task }) => [type, task.node, task.attempt]),
    [
      ['queued', undefined, 0],
      ['claimed', victim, 1],
      ['claimed', survivor, 2],
      ['done', survivor, 2],
    ],
  );
  check(
    `${unserved} waits, never tried`,
    history(unserved)
      .map(({ type }) => type)
      .filter(type => type !== 'unservable'),
    ['queued'],
  );
}

/** Checks the history of the task that was cancelled while it waited. @param {Entry[]} history */
export function checkCancelled(history) {
  // Long enough unserved, it was flagged in between.
  const found = history
    .filter(({ type }) => type !== 'unservable')
    .map(({ type, task }) => `${type} ${task.attempt}`);
  check(`${history[0]?.task.id} is cancelled, once`, found, ['queued 0', 'cancelled 0']);
}

/** @param {Entry[]} history */
const claims = history => history.filter(({ type }) => type === 'claimed');

/** @param {Entry[]} history */
const finals = history => history.map(({ type }) => type).filter(type => FINAL.includes(type));

/** @param {readonly string[]} offered @param {string} lane */
const offers = (offered, lane) => lane === 'any' || lane.split('+').every(needed => offered.includes(needed));

/**
 * What each task should find in the repository.
 * @param {string} repo
 * @returns {Record<string, unknown>}
 */
export function expectedResults(repo) {
  const src = join(repo, 'src');
  const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => ({ name, bytes: readFileSync(join(src, name)) }))
    .map(({ name, bytes }) => ({ name, size: bytes.length, code: bytes.toString() }));
  const documents = readdirSync(repo).filter(name => name.endsWith('.md'));
  const { dependencies } = JSON.parse(readFileSync(join(repo, 'package.json'), 'utf8'));
  /** @param {string} code */
  const linesOf = code => code.split('\n').slice(0, -1);
  /** @param {string} folder */
  const linesIn = folder =>
    sources
      .filter(({ name }) => name.startsWith(folder))
      .reduce((sum, { code }) => sum + linesOf(code).length, 0);

  return {
    'lines-bus': linesIn('bus/'),
    'lines-cli': linesIn('cli/'),
    'lines-protocol': linesIn('protocol/'),
    'lines-tasks': linesIn('tasks/'),
    'lines-worker': linesIn('worker/'),
    words: documents.reduce((sum, name) => sum + wordsOf(readFileSync(join(repo, name), 'utf8')), 0),
    todo: sources.flatMap(({ code }) => linesOf(code)).filter(line => /TODO|FIXME/.test(line)).length,
    largest: sources
      .sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1))
      .slice(0, 3)
      .map(({ name }) => name)
      .join('\n'),
    uncommented: sources.filter(({ code }) => !/^(\/\/|\/\*|#!)/.test(code)).length,
    dependencies: Object.keys(dependencies).length,
    commits: commitsOf(repo),
    system: type(),
    'node-version': process.version,
    'second-try': linesOf(readFileSync(join(src, 'index.ts'), 'utf8')).filter(line =>
      line.startsWith('export'),
    ).length,
    long: sources
      .filter(({ name }) => name.includes('/'))
      .reduce((sum, { code }) => sum + linesOf(code).length, 0),
  };
}

/** @param {string} document */
const wordsOf = document => document.split(/[ \t\n]+/).filter(Boolean).length;

/** Null where there is no repository or no git. @param {string} repo */
function commitsOf(repo) {
  try {
    const words = ['-C', repo, 'rev-list', '--count', 'HEAD'];
    return Number(execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return null;
  }
}
