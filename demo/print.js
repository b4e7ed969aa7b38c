// @ts-check
// What the demo prints: lines that fit a terminal of 80 columns, coloured where that is wanted.
import colors from 'picocolors';

/** @typedef {import('orch').TaskEvent} JournalLine */
/** @typedef {Pick<JournalLine, 'type' | 'at' | 'actor' | 'task'>} Entry an event, or a line of the journal */
/** @typedef {{ type: string, at: string, actor: string, node: { id: string, capabilities: string[] }, reason?: string }} NodeEvent */

/** Events after which a task is over. */
export const FINAL = ['done', 'failed', 'cancelled'];

const WIDTH = process.stdout.columns || 80;
const STARTED = Date.now();

/** @type {Record<string, (text: string) => string>} */
const COLORS = {
  queued: colors.cyan,
  claimed: colors.blue,
  retrying: colors.yellow,
  done: colors.green,
  failed: colors.red,
  cancelled: colors.magenta,
  unservable: colors.yellow,
  online: colors.green,
  draining: colors.yellow,
  offline: colors.gray,
  lost: colors.red,
};

/** @param {string} title */
export function printTitle(title) {
  process.stdout.write(`\n${colors.bold(title)}\n`);
}

/** @param {string} text */
export function printLine(text) {
  for (const line of text.split('\n')) process.stdout.write(`  ${cut(line, WIDTH - 2)}\n`);
}

/** @param {unknown} error */
export function printError(error) {
  process.stderr.write(`${colors.red(error instanceof Error ? error.message : String(error))}\n`);
}

/** @param {Entry} entry */
export function printEvent({ type, at, actor, task }) {
  const attempt = task.attempt > 0 ? `${task.id} #${task.attempt}` : task.id;
  printMoment(type, at, `${column(attempt, 17)} ${column(actor, 9)} ${text(detail(type, task))}`);
}

/** @param {NodeEvent} event */
export function printNodeEvent({ type, at, actor, node, reason }) {
  const about = reason ?? node.capabilities.join(', ');
  printMoment(type, at, `${column(`node ${node.id}`, 17)} ${column(actor, 9)} ${about}`);
}

/** @param {string} type @param {string} at @param {string} line */
function printMoment(type, at, line) {
  const seconds = `${((Date.parse(at) - STARTED) / 1_000).toFixed(2)}s`.padStart(7);
  const paint = COLORS[type] ?? String;
  process.stdout.write(
    `${colors.dim(seconds)}  ${paint(column(type, 9))} ${cut(line, WIDTH - 19).trimEnd()}\n`,
  );
}

/** @param {string} type @param {Entry['task']} task */
function detail(type, task) {
  if (type === 'queued') return task.description;
  return type === 'done' ? (task.result ?? '') : (task.error ?? task.reason ?? '');
}

/**
 * @param {import('orch').TaskLine[]} tasks
 * @param {Map<string, Entry[]>} histories
 */
export function printTable(tasks, histories) {
  const header = [column('TASK', 14), column('STATE', 9), 'TRY', column('RAN ON', 20), 'RESULT'];
  printLine(header.join(' '));
  for (const { id, state, attempt = 0, result } of tasks) {
    const nodes = (histories.get(id) ?? [])
      .filter(({ type }) => type === 'claimed')
      .map(({ actor }) => actor);
    const paint = COLORS[state] ?? String;
    const rest = `${column(String(attempt), 3)} ${column(nodes.join(', '), 20)} ${text(result ?? '')}`;
    process.stdout.write(
      `  ${column(id, 14)} ${paint(column(state, 9))} ${cut(rest, WIDTH - 27).trimEnd()}\n`,
    );
  }
}

/** @param {string} title @param {string} [fault] what is wrong; nothing when all is well */
export function printCheck(title, fault) {
  process.stdout.write(
    `  ${fault === undefined ? colors.green('ok    ') : colors.red('FAILED')}  ${title}\n`,
  );
  if (fault !== undefined) process.stdout.write(`          ${colors.red(fault)}\n`);
}

/** Any value in one line. @param {unknown} value */
export function text(value) {
  const line = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return line.trim().replace(/\s+/g, ' ');
}

/** @param {string} line @param {number} width */
const column = (line, width) => cut(line, width).padEnd(width);

/** @param {string} line @param {number} width */
const cut = (line, width) => (line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`);
