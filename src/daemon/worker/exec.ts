// Runs a task as a child process: one shell command per attempt, in a process group of its own.
// Promises:
//  1. Nothing of the group outlives the attempt: not its background children, and not when the worker is killed.
//  2. The task sees no credentials of the worker and nothing of another task.
//  3. Its output is read as fast as it comes; a slow server never blocks it.
import type { ChildProcess } from 'node:child_process';
import { addAbortListener } from 'node:events';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startGuarded } from '../../process/index.ts';
import { OUTPUT_LINE_LENGTH_MAX, RESULT_BYTES_MAX } from '../../protocol/index.ts';
import type { OutputSink } from './output.ts';
import type { RunContext, RunnableTask, Runner, RunOutcome } from './run.ts';

/** EX_TEMPFAIL of sysexits.h: "try again later". */
const EXIT_TRY_LATER = 75;

/** The command of a worker, and what each attempt is given. */
export interface ExecOptions {
  /** For `/bin/sh -c`. */
  command: string;
  /** Where each attempt gets its folder. */
  workDir: string;
  /** The environment to pass on, without what belongs to orch and NATS. */
  env: NodeJS.ProcessEnv;
  /** Where the server is, for what a task asks of orch; it brings credentials of its own where they are needed. */
  serverUrls?: readonly string[];
  /** From SIGTERM to SIGKILL, in milliseconds. */
  graceMs: number;
  /** Leave the folders of attempts behind. */
  keepWork: boolean;
}

/** A runner that hands each task to a command. */
export function execRunner(options: ExecOptions): Runner {
  return async (task, context) => {
    const folder = join(options.workDir, `${task.id}.${task.attempt}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    try {
      return await runCommand(options, folder, task, context);
    } finally {
      if (!options.keepWork) await rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  };
}

async function runCommand(
  options: ExecOptions,
  folder: string,
  task: RunnableTask,
  context: RunContext,
): Promise<RunOutcome> {
  const files = { task: join(folder, 'task.json'), result: join(folder, 'result') };
  const { id, attempt, input } = task;
  const { priority, lane, description, repo, labels } = task.record;
  await writeFile(
    files.task,
    JSON.stringify({ id, attempt, priority, lane, description, repo, labels, input }, null, 2),
  );
  const { child, ended, stop, kill } = startGuarded({
    command: ['/bin/sh', '-c', options.command],
    cwd: folder,
    env: taskEnvironment(options.env, {
      ORCH_TASK_ID: id,
      ORCH_ATTEMPT: String(attempt),
      ORCH_TASK_FILE: files.task,
      ORCH_RESULT_FILE: files.result,
      ORCH_NODE: context.node,
      ...(options.serverUrls === undefined ? {} : { NATS_URL: options.serverUrls.join(',') }),
      ...(context.agent === undefined ? {} : { ORCH_AGENT: context.agent }),
      TRACEPARENT: context.traceparent,
    }),
    stdio: ['pipe', 'pipe', 'pipe'],
    stops: 'group',
    graceMs: options.graceMs,
  });
  const listeners = [addAbortListener(context.signal, stop), addAbortListener(context.stopNow, kill)];
  feed(child, input);
  readLines(child, 'stdout', context.output);
  readLines(child, 'stderr', context.output);
  const end = await ended;
  for (const listener of listeners) listener[Symbol.dispose]();
  if (end.kind === 'unstartable') return { kind: 'failed', error: end.error };
  const { code, signal } = end;
  if (code === 0) return { ...(await readResult(files.result)), exitCode: 0 };
  const exitCode = code ?? 128;
  const why = context.output.lastLine;
  const error = signal ? `killed by ${signal}` : `exit code ${code}`;
  const described = { error: why === '' ? error : `${error}: ${why}`, exitCode };
  return code === EXIT_TRY_LATER ? { kind: 'deferred', ...described } : { kind: 'failed', ...described };
}

/** The environment of a task: what the worker was given, less what is orch's or NATS's, plus the task's own. */
function taskEnvironment(inherited: NodeJS.ProcessEnv, own: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(inherited).filter(
    ([key]) => !/^(NATS|ORCH)_/.test(key) && key !== 'TRACEPARENT',
  );
  return { ...Object.fromEntries(kept), ...own };
}

function feed(child: ChildProcess, input: unknown): void {
  // A command that does not read its input closes the pipe early.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input === undefined ? '' : typeof input === 'string' ? input : JSON.stringify(input));
}

function readLines(child: ChildProcess, stream: 'stdout' | 'stderr', output: OutputSink): void {
  let rest = '';
  const source = child[stream]?.setEncoding('utf8');
  source?.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) output.line(stream, line.replace(/\r$/, ''));
    // A line without an end is cut, not collected.
    if (rest.length > OUTPUT_LINE_LENGTH_MAX) {
      output.line(stream, rest);
      rest = '';
    }
  });
  source?.once('end', () => {
    if (rest !== '') output.line(stream, rest);
  });
}

// JSON when it is JSON, else text.
async function readResult(
  path: string,
): Promise<{ kind: 'done'; result?: unknown } | { kind: 'failed'; error: string }> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats) return { kind: 'done' };
  // To read a pipe waits for its writer, in one of the few threads that read all files.
  if (!stats.isFile()) return { kind: 'failed', error: 'the result is not a regular file' };
  const { size } = stats;
  // JSON quoting can only add to it.
  if (size > RESULT_BYTES_MAX)
    return {
      kind: 'failed',
      error: `the result file has ${size} bytes, at most ${RESULT_BYTES_MAX} are allowed`,
    };
  const text = await readFile(path, 'utf8');
  try {
    return { kind: 'done', result: JSON.parse(text) };
  } catch {
    return { kind: 'done', result: text };
  }
}
