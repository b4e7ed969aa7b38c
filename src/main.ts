#!/usr/bin/env node
// The table of commands, and the one place that exits. Each command is loaded when it is called.
import module from 'node:module';
import type { Command } from './cli/command.ts';
import { renderHelp, runCommand } from './cli/command.ts';
import { env } from './config/env.ts';
import { didYouMean, messageOf, OrchError } from './protocol/index.ts';

// What a command loads is compiled once, where node can keep that (22.1 and newer; NODE_DISABLE_COMPILE_CACHE=1 does
// without).
(module as { enableCompileCache?: () => void }).enableCompileCache?.();

// biome-ignore lint/suspicious/noExplicitAny: each command has arguments of its own.
type AnyCommand = Command<any>;

const COMMANDS: Record<string, { summary: string; load(): Promise<AnyCommand> }> = {
  up: {
    summary: 'run a NATS server and a worker on this machine',
    load: async () => (await import('./cli/commands/up.ts')).up,
  },
  worker: {
    summary: 'run tasks that this machine is capable of',
    load: async () => (await import('./cli/commands/worker.ts')).worker,
  },
  'publish-task': {
    summary: 'publish one task or a file of them',
    load: async () => (await import('./cli/commands/publish-task.ts')).publishTask,
  },
  tasks: { summary: 'list tasks', load: async () => (await import('./cli/commands/tasks.ts')).tasks },
  task: {
    summary: 'show one task: record, history, output',
    load: async () => (await import('./cli/commands/task.ts')).task,
  },
  logs: {
    summary: 'print what a task printed',
    load: async () => (await import('./cli/commands/logs.ts')).logs,
  },
  cancel: { summary: 'cancel tasks', load: async () => (await import('./cli/commands/cancel.ts')).cancel },
  retry: {
    summary: 'bring failed tasks back',
    load: async () => (await import('./cli/commands/retry.ts')).retry,
  },
  claim: {
    summary: 'claim a task by hand, under a lease',
    load: async () => (await import('./cli/commands/claim.ts')).claim,
  },
  transition: {
    summary: 'say how a claimed task goes',
    load: async () => (await import('./cli/commands/transition.ts')).transition,
  },
  lanes: {
    summary: 'list lanes and what waits in them',
    load: async () => (await import('./cli/commands/lanes.ts')).lanes,
  },
  events: {
    summary: 'watch what happens, or replay what happened',
    load: async () => (await import('./cli/commands/events.ts')).events,
  },
  status: {
    summary: 'show the cluster and what is degraded',
    load: async () => (await import('./cli/commands/status.ts')).status,
  },
  top: {
    summary: 'watch the cluster full-screen',
    load: async () => (await import('./cli/commands/top.ts')).top,
  },
  nodes: { summary: 'list nodes', load: async () => (await import('./cli/commands/nodes.ts')).nodes },
  node: { summary: 'show one node', load: async () => (await import('./cli/commands/node.ts')).node },
  agents: {
    summary: 'list agents, their owners and what they do',
    load: async () => (await import('./cli/commands/agents.ts')).agents,
  },
  'register-agent': {
    summary: 'register an agent that has no daemon',
    load: async () => (await import('./cli/commands/register-agent.ts')).registerAgentCommand,
  },
  state: {
    summary: 'show one repository: who is at work, what waits',
    load: async () => (await import('./cli/commands/state.ts')).state,
  },
  recall: {
    summary: 'ask a memory, or all, for what is relevant',
    load: async () => (await import('./cli/commands/recall.ts')).recall,
  },
  search: {
    summary: 'search a memory, or all, by words',
    load: async () => (await import('./cli/commands/recall.ts')).search,
  },
  expand: {
    summary: 'show what a record or an entity is linked to',
    load: async () => (await import('./cli/commands/expand.ts')).expandMemory,
  },
  remember: {
    summary: "add to an agent's memory",
    load: async () => (await import('./cli/commands/remember.ts')).rememberInMemory,
  },
  forget: {
    summary: "remove from an agent's memory",
    load: async () => (await import('./cli/commands/forget.ts')).forgetInMemory,
  },
  memory: {
    summary: 'a memory: stats, export, import, backup',
    load: async () => (await import('./cli/commands/memory.ts')).memory,
  },
  session: {
    summary: 'find where to talk to an agent',
    load: async () => (await import('./cli/commands/session.ts')).session,
  },
  drain: {
    summary: 'tell a node to finish and take no more',
    load: async () => (await import('./cli/commands/drain.ts')).drainNode,
  },
  pause: {
    summary: 'tell a node to take no more',
    load: async () => (await import('./cli/commands/drain.ts')).pauseNode,
  },
  resume: {
    summary: 'tell a node to take tasks again',
    load: async () => (await import('./cli/commands/drain.ts')).resumeNode,
  },
  doctor: {
    summary: 'check the server and the streams',
    load: async () => (await import('./cli/commands/doctor.ts')).doctor,
  },
};

async function main(words: readonly string[]): Promise<void> {
  const [name, ...rest] = words;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const topic = rest[0] === undefined ? undefined : COMMANDS[rest[0]];
    process.stdout.write(topic ? await renderHelp(await topic.load()) : overview());
    return;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${__ORCH_VERSION__}\n`);
    return;
  }
  const entry = COMMANDS[name];
  if (!entry) {
    throw new OrchError('usage', `unknown command "${name}"`, {
      advice: '`orch --help` lists them',
      ...didYouMean(name, Object.keys(COMMANDS)),
    });
  }
  const command = await entry.load();
  const flags = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (flags.includes('--help') || flags.includes('-h')) process.stdout.write(await renderHelp(command));
  else await runCommand(command, rest);
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
    '  orch up --caps rust                            a server and a worker on this machine',
    "  orch publish-task --caps rust --wait 'uname'   run a shell script wherever rust is",
    "  orch events                                    watch, like nats sub 'events.>'",
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

// `orch tasks | head` ends the pipe early, which is no error.
process.stdout.on('error', error => process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : 1));

const words = process.argv.slice(2);
try {
  await main(words);
} catch (error) {
  // Not only a code: what an interrupted command still waits for must not hold up its end.
  process.exit(report(error, words.includes('--json')));
}
