// @ts-check
// The processes of the demo: each is the built `orch` command, and nothing of them outlives the demo.
// Every process carries DEMO_FOLDER in its environment, and so does whatever it starts: tasks, guards, nats-server.
// By that mark all of them are found, even those whose parent was killed.
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a process may take to drain and end. */
const STOP_MS = 10_000;
/** The guard of a task ends it at once when its worker was killed, and itself some 5 seconds later. */
const GONE_MS = 8_000;
const COMMAND_MS = 30_000;
/** What is shown of a process's output when something went wrong. */
const LAST_LINES = 3;
const LINE_LENGTH = 160;
/** A process that is being started while the others are killed is found in the next round. */
const KILL_ROUNDS = 5;

/**
 * @typedef {object} Member
 * @property {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable,
 *   import('node:stream').Readable>} child
 * @property {Promise<number | string>} exited exit code, or the signal that killed it
 * @property {(pattern: RegExp) => Promise<RegExpExecArray>} said rejects when the process ends before it said so
 * @property {() => string} lastWords the end of its output
 */

export class Fleet {
  /** @type {Map<string, Member>} */
  #members = new Map();
  /** @type {Set<string>} */
  #mayEnd = new Set();
  #main;
  #env;
  #mark;
  #onLost;

  /**
   * @param {{ repo: string, folder: string, onLost: (error: Error) => void }} options `onLost` hears of a process
   *   that ended though nobody asked it to
   */
  constructor({ repo, folder, onLost }) {
    this.#main = join(repo, 'dist', 'main.js');
    this.#mark = `DEMO_FOLDER=${folder}`;
    this.#onLost = onLost;
    // The user's own NATS server, credentials and data must not be touched. The cache may: it holds nats-server.
    const kept = Object.entries(process.env).filter(
      ([key]) => !/^(NATS|ORCH)_/.test(key) || key === 'ORCH_NATS_SERVER',
    );
    this.#env = {
      ...Object.fromEntries(kept),
      XDG_DATA_HOME: join(folder, 'data'),
      DEMO_REPO: repo,
      DEMO_FOLDER: folder,
    };
  }

  /**
   * Runs a command to its end; returns what it printed. Throws when it fails.
   * @param {...string} words
   * @returns {Promise<string>}
   */
  run(...words) {
    return new Promise((resolve, reject) => {
      const options = { env: this.#env, timeout: COMMAND_MS };
      execFile(process.execPath, [this.#main, ...words], options, (error, stdout, stderr) => {
        if (error) reject(new Error(`orch ${words[0]} failed: ${stderr.trim() || error.message}`));
        else resolve((stdout + stderr).trimEnd());
      });
    });
  }

  /**
   * Starts a command that goes on until it is stopped.
   * @param {string} name
   * @param {...string} words
   * @returns {Member}
   */
  start(name, ...words) {
    // In a group of its own: Ctrl-C reaches the demo alone, which stops the others in order.
    const child = spawn(process.execPath, [this.#main, ...words], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', text => {
        output += text;
      });
    const lastWords = () => {
      const lines = output.trimEnd().split('\n').slice(-LAST_LINES);
      return lines.map(line => `  ${line.slice(0, LINE_LENGTH)}`).join('\n');
    };
    /** @type {Promise<number | string>} */
    const exited = new Promise(resolve =>
      child
        .once('close', (code, signal) => resolve(signal ?? code ?? 'unknown'))
        .once('error', error => resolve(error.message)),
    );
    let isOver = false;
    void exited.then(how => {
      isOver = true;
      if (!this.#mayEnd.has(name)) this.#onLost(new Error(`${name} ended (${how}) though nobody stopped it`));
    });
    /** @param {RegExp} pattern */
    const said = async pattern => {
      for (;;) {
        const found = pattern.exec(output);
        if (found) return found;
        if (isOver) throw new Error(`${name} ended before it was ready`);
        await sleep(20);
      }
    };
    const member = { child, exited, said, lastWords };
    this.#members.set(name, member);
    return member;
  }

  /**
   * Ends a process without warning; resolves when it is gone.
   * @param {string} name
   */
  async kill(name) {
    this.#mayEnd.add(name);
    this.#members.get(name)?.child.kill('SIGKILL');
    await this.#members.get(name)?.exited;
  }

  /**
   * Drains and stops everything, what was started first last. What does not end in time is killed.
   * @returns {Promise<Record<string, number | string>>} how each process ended
   */
  async stop() {
    const [server, ...others] = this.#members.keys();
    await Promise.all(others.map(name => this.#end(name)));
    if (server !== undefined) await this.#end(server);
    const ended = [...this.#members].map(async ([name, { exited }]) => [name, await exited]);
    return Object.fromEntries(await Promise.all(ended));
  }

  /** @param {string} name */
  async #end(name) {
    this.#mayEnd.add(name);
    const member = this.#members.get(name);
    const timer = setTimeout(() => member?.child.kill('SIGKILL'), STOP_MS);
    member?.child.kill('SIGTERM');
    await member?.exited;
    clearTimeout(timer);
  }

  /** Kills whatever still runs, now; for the moment before the demo itself ends. */
  killAll() {
    for (const name of this.#members.keys()) this.#mayEnd.add(name);
    for (const { child } of this.#members.values()) child.kill('SIGKILL');
    for (let round = 0; round < KILL_ROUNDS; round++) {
      for (const { pid } of this.leftovers()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone already.
        }
      }
    }
  }

  /**
   * What carries the demo's mark and runs. Read from /proc; empty where there is none.
   * @returns {{ pid: number, command: string }[]}
   */
  leftovers() {
    const found = [];
    for (const pid of listOf('/proc').filter(entry => /^\d+$/.test(entry))) {
      if (!textOf(`/proc/${pid}/environ`).split('\0').includes(this.#mark)) continue;
      const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 60).trim();
      found.push({ pid: Number(pid), command });
    }
    return found;
  }

  /** Waits until nothing runs; returns what still does after some seconds. */
  async gone() {
    const patience = Date.now() + GONE_MS;
    while (this.leftovers().length > 0 && Date.now() < patience) await sleep(50);
    return this.leftovers();
  }

  /** The last lines of every process, to explain a failure. */
  lastWords() {
    return [...this.#members].map(([name, member]) => `${name}:\n${member.lastWords()}`).join('\n');
  }
}

/** @param {string} folder */
function listOf(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

// A process of somebody else, or one that has just ended, reads as nothing.
/** @param {string} path */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
