// `orch status`: the cluster at a glance, once or again and again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { type ClusterStatus, type Finding, readStatus } from '../../cluster/index.ts';
import { messageOf, PRIORITIES } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from '../connection.ts';
import { nodeRow } from '../node-rows.ts';
import { age, colors, isTerminal, printJson, printLine, safe, tableLines } from '../print.ts';

const REDRAW_MS = 1_000;
const PATIENCE_MS = 2_000;

export const status = command({
  name: 'status',
  description:
    'Show the cluster: server, streams, lanes, nodes, agents, who does the chores, and what is degraded and why.',
  args: {
    watch: { type: 'boolean', alias: 'w', description: 'show it again each second until Ctrl-C' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch status',
    'orch status --watch',
    'orch status --json | jq -r \'.degraded[] | "\\(.subject) \\(.message)"\'',
  ],
  async run(args) {
    // What does not answer soon is a part of the picture too.
    const patience = args.timeout === undefined ? { timeoutMs: PATIENCE_MS } : {};
    await withBus(
      args,
      async bus => {
        if (args.watch) return watch(bus, args.json === true);
        const now = await readStatus(bus);
        if (args.json) printJson(now);
        else for (const line of statusLines(now)) printLine(line);
      },
      patience,
    );
  },
});

async function watch(bus: Bus, asJson: boolean): Promise<void> {
  const signal = interrupted();
  while (!signal.aborted) {
    const began = performance.now();
    // A server that is away is part of the picture.
    const now = await readStatus(bus).catch((error: unknown) => messageOf(error));
    if (asJson) printJson(typeof now === 'string' ? { at: new Date().toISOString(), error: now } : now);
    else redraw(typeof now === 'string' ? [colors.red(now)] : statusLines(now));
    const pauseMs = Math.max(0, REDRAW_MS - (performance.now() - began));
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

// From the top, line by line, then what is left of the picture before: no flicker, and nothing scrolls.
function redraw(lines: readonly string[]): void {
  if (!isTerminal()) {
    for (const line of [...lines, '']) printLine(line);
    return;
  }
  const shown = lines.slice(0, Math.max(1, (process.stdout.rows ?? 24) - 1));
  process.stdout.write(`\u001b[H${shown.map(line => `${line}\u001b[K\n`).join('')}\u001b[J`);
}

/** The picture as lines. */
export function statusLines(now: ClusterStatus): string[] {
  const { server, servers, streams, lanes, nodes, agents, chores, degraded } = now;
  const title = (text: string) => ['', colors.bold(text)];
  return [
    `${colors.bold('orch')} ${colors.dim(now.at.slice(11, 19))}  ${server.cluster ? `cluster ${server.cluster}, ` : ''}${server.url}  nats-server ${server.version}, ${server.rttMs} ms`,
    degraded.length === 0 ? colors.green('all well') : colors.yellow(`${degraded.length} degraded`),
    ...degraded.flatMap(findingLines),
    ...(servers.length === 0
      ? []
      : [
          ...title('SERVERS'),
          ...servers.map(({ name, isUp }) => `${name}  ${isUp ? colors.green('up') : colors.red('away')}`),
        ]),
    ...title('NODES'),
    ...(nodes.length === 0
      ? ['none: `orch worker` makes a machine one']
      : tableLines(
          ['NODE', 'STATE', 'RUNNING', 'CPU', 'MEM', 'HEARD', 'HOST', 'CAPABILITIES', 'AGENTS'],
          nodes.map(nodeRow),
        )),
    ...title('LANES'),
    ...(lanes.length === 0 ? ['none: the first task to a lane creates it'] : laneLines(lanes)),
    ...title('STREAMS'),
    ...tableLines(
      ['STREAM', 'MESSAGES', 'SIZE', 'COPIES', 'LEADER'],
      streams.map(({ name, messages, bytes, replicas, peers }) => [
        name,
        String(messages),
        `${(bytes / 1024 ** 2).toFixed(1)} MiB`,
        String(replicas),
        peers.find(({ isLeader }) => isLeader)?.name ?? '-',
      ]),
    ),
    '',
    `${colors.bold('AGENTS')}  ${agents.length} owned, ${agents.filter(agent => agent.status === 'working').length} at work`,
    `${colors.bold('CHORES')}  ${chores ? `${chores.node}, for ${age(chores.since)}${choreText(chores.chores)}` : 'nobody does them'}`,
  ];
}

function findingLines({ subject, severity, message, advice }: Finding): string[] {
  const paint = severity === 'error' ? colors.red : colors.yellow;
  const lines = [`  ${paint(subject.padEnd(7))}  ${safe(message)}`];
  return advice === undefined ? lines : [...lines, colors.dim(`${' '.repeat(11)}${safe(advice)}`)];
}

function laneLines(lanes: ClusterStatus['lanes']): string[] {
  const sorted = [...lanes].sort(
    (a, b) => a.lane.localeCompare(b.lane) || PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority),
  );
  return tableLines(
    ['LANE', 'PRIORITY', 'WAITING', 'IN FLIGHT', 'OLDEST', 'IDLE WORKERS'],
    sorted.map(({ lane, priority, waiting, inFlight, oldestMs, idleWorkers, isServed }) => [
      lane,
      priority,
      waiting > 0 && !isServed ? colors.yellow(String(waiting)) : String(waiting),
      String(inFlight),
      oldestMs === null ? '-' : age(new Date(Date.now() - oldestMs).toISOString()),
      String(idleWorkers),
    ]),
  );
}

function choreText(chores: Record<string, { done: number }>): string {
  const done = Object.entries(chores).filter(([, count]) => count.done > 0);
  return done.length === 0 ? '' : `: ${done.map(([name, count]) => `${name} ${count.done}`).join(', ')}`;
}
