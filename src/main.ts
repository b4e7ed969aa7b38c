#!/usr/bin/env node
// The table of commands, and the one place that exits. A command is loaded only when it is called.
import module from 'node:module';
import type { Command } from './cli/command.ts';
import { renderHelp, runCommand } from './cli/command.ts';
import { env } from './config/env.ts';
import { didYouMean, messageOf, OrchError, quoted } from './protocol/index.ts';

// Node 22.1 and newer keep the compiled code for the next call; NODE_DISABLE_COMPILE_CACHE=1 turns that off.
(module as { enableCompileCache?: () => void }).enableCompileCache?.();

// biome-ignore lint/suspicious/noExplicitAny: each command has arguments of its own.
type AnyCommand = Command<any>;

interface Entry {
  /** The one line of the command, in `orch --help` and at the top of its own help. */
  summary: string;
  load(): Promise<AnyCommand>;
}

const COMMANDS: Record<string, Entry> = {
  up: {
    summary: 'Run a NATS server and a worker on this machine',
    load: async () => (await import('./cli/commands/up.ts')).up,
  },
  worker: {
    summary: 'Run tasks that this machine is capable of',
    load: async () => (await import('./cli/commands/worker.ts')).worker,
  },
  'publish-task': {
    summary: 'Publish a task, or a file of tasks',
    load: async () => (await import('./cli/commands/publish-task.ts')).publishTask,
  },
  tasks: {
    summary: 'List tasks, oldest first',
    load: async () => (await import('./cli/commands/tasks.ts')).tasks,
  },
  task: {
    summary: 'Show one task: its record, history and last output',
    load: async () => (await import('./cli/commands/task.ts')).task,
  },
  logs: {
    summary: 'Print the output of a task',
    load: async () => (await import('./cli/commands/logs.ts')).logs,
  },
  cancel: {
    summary: 'Cancel tasks that have not ended',
    load: async () => (await import('./cli/commands/cancel.ts')).cancel,
  },
  retry: {
    summary: 'Queue failed tasks again, with all their attempts',
    load: async () => (await import('./cli/commands/retry.ts')).retry,
  },
  claim: {
    summary: 'Claim a task by hand, under a lease',
    load: async () => (await import('./cli/commands/claim.ts')).claim,
  },
  transition: {
    summary: 'Report progress on a claimed task, or its outcome',
    load: async () => (await import('./cli/commands/transition.ts')).transition,
  },
  lanes: {
    summary: 'List lanes with their waiting tasks and idle workers',
    load: async () => (await import('./cli/commands/lanes.ts')).lanes,
  },
  events: {
    summary: 'Watch events, or replay them',
    load: async () => (await import('./cli/commands/events.ts')).events,
  },
  status: {
    summary: 'Show the cluster and what is degraded',
    load: async () => (await import('./cli/commands/status.ts')).status,
  },
  top: {
    summary: 'Watch the cluster full-screen',
    load: async () => (await import('./cli/commands/top.ts')).top,
  },
  nodes: {
    summary: 'List live nodes, and those that left or were lost in the last 24 h',
    load: async () => (await import('./cli/commands/nodes.ts')).nodes,
  },
  node: {
    summary: 'Show one node: its record, agents and running tasks',
    load: async () => (await import('./cli/commands/node.ts')).node,
  },
  agents: {
    summary: 'List agents, or resolve one to its node and subjects',
    load: async () => (await import('./cli/commands/agents.ts')).agents,
  },
  'register-agent': {
    summary: 'Register an agent that has no daemon',
    load: async () => (await import('./cli/commands/register-agent.ts')).registerAgentCommand,
  },
  state: {
    summary: 'Show one repository: its agents, running and waiting tasks',
    load: async () => (await import('./cli/commands/state.ts')).state,
  },
  recall: {
    summary: 'Recall what is most relevant from one memory, or from all',
    load: async () => (await import('./cli/commands/recall.ts')).recall,
  },
  search: {
    summary: 'Search one memory, or all, by words',
    load: async () => (await import('./cli/commands/search.ts')).search,
  },
  expand: {
    summary: 'Show what a record or an entity is linked to',
    load: async () => (await import('./cli/commands/expand.ts')).expandMemory,
  },
  remember: {
    summary: "Add to an agent's memory, or change a record",
    load: async () => (await import('./cli/commands/remember.ts')).rememberInMemory,
  },
  forget: {
    summary: "Remove records from an agent's memory",
    load: async () => (await import('./cli/commands/forget.ts')).forgetInMemory,
  },
  memory: {
    summary: 'Inspect, export, import or back up a memory',
    load: async () => (await import('./cli/commands/memory.ts')).memory,
  },
  drain: {
    summary: 'Make a node stop taking tasks and finish the running ones',
    load: async () => (await import('./cli/commands/drain.ts')).drainNode,
  },
  pause: {
    summary: 'Make a node stop taking tasks',
    load: async () => (await import('./cli/commands/pause.ts')).pauseNode,
  },
  resume: {
    summary: 'Make a drained or paused node take tasks again',
    load: async () => (await import('./cli/commands/resume.ts')).resumeNode,
  },
  doctor: {
    summary: 'Check the server, streams, lanes, nodes and chores',
    load: async () => (await import('./cli/commands/doctor.ts')).doctor,
  },
};

/** Commands that were renamed, and what to run instead. */
const RENAMED: Record<string, string> = { session: 'orch agents resolve <agent>' };

async function main(words: readonly string[]): Promise<void> {
  const [name, ...rest] = words;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const [topic] = rest;
    process.stdout.write(topic === undefined ? overview() : await helpOf(topic));
    return;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${__ORCH_VERSION__}\n`);
    return;
  }
  const flags = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (flags.includes('--help') || flags.includes('-h')) process.stdout.write(await helpOf(name));
  else await runCommand(name, await entryOf(name).load(), rest);
}

async function helpOf(name: string): Promise<string> {
  const { summary, load } = entryOf(name);
  return renderHelp(name, summary, await load());
}

function entryOf(name: string): Entry {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry) return entry;
  const renamed = Object.hasOwn(RENAMED, name) ? RENAMED[name] : undefined;
  if (renamed !== undefined)
    throw new OrchError('usage', `"${name}" is no longer a command: use \`${renamed}\``);
  throw new OrchError('usage', `unknown command ${quoted(name)}`, {
    advice: '`orch --help` lists the commands',
    ...didYouMean(name, Object.keys(COMMANDS)),
  });
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    `orch ${__ORCH_VERSION__}: tasks for a fleet of agents, on NATS, with no coordinator to lose`,
    '',
    'Usage: orch <command> [flags]',
    '',
    ...lines,
    '',
    'First steps:',
    '  orch up --caps rust                            start a server and a worker on this machine',
    "  orch publish-task --caps rust --wait 'uname'   run a shell script on a worker that has rust",
    "  orch events                                    watch events, like nats sub 'events.>'",
    '',
    '`orch <command> --help` shows flags, examples and exit codes.',
    '',
  ].join('\n');
}

function report(error: unknown, asJson: boolean): number {
  const known =
    error instanceof OrchError
      ? error
      : new OrchError('internal', messageOf(error), { advice: 'set ORCH_DEBUG=1 to see where' });
  const { code, message, advice, exitCode } = known;
  if (asJson) process.stderr.write(`${JSON.stringify({ error: { code, message, advice } })}\n`);
  else process.stderr.write(`orch: ${message}${advice === undefined ? '' : `\n      ${advice}`}\n`);
  if (env('ORCH_DEBUG') && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}

// `orch tasks | head` closes the pipe early, which is no error.
process.stdout.on('error', error => process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : 1));

const words = process.argv.slice(2);
try {
  await main(words);
} catch (error) {
  // Exits at once: what an interrupted command still waits for must not delay it.
  process.exit(report(error, words.includes('--json')));
}
