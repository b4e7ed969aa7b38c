// `orch status`: the cluster at a glance, once or every second.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../bus/index.ts';
import { type ClusterStatus, type Finding, readStatus } from '../../cluster/index.ts';
import { messageOf, PRIORITIES } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from '../connection.ts';
import { NODE_COLUMNS, nodeRow } from '../node-rows.ts';
import { age, colors, isTerminal, printJson, printLine, safe, tableLines } from '../print.ts';

const REDRAW_MS = 1_000;
const PATIENCE_MS = 2_000;

export const status = command({
  details:
    'Lists what is degraded with the next step for each, then servers, nodes, lanes, streams, agents and chores.',
  args: {
    watch: { type: 'boolean', alias: 'w', description: 'repeat every second until Ctrl-C' },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch status',
    'orch status --watch',
    'orch status --json | jq -r \'.degraded[] | "\\(.subject) \\(.message)"\'',
  ],
  async run(args) {
    // A slow server is shown as slow, not waited for.
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
    // An unreachable server is shown, and tried again.
    const now = await readStatus(bus).catch((error: unknown) => messageOf(error));
    if (asJson) printJson(typeof now === 'string' ? { at: new Date().toISOString(), error: now } : now);
    else redraw(typeof now === 'string' ? [colors.red(now)] : statusLines(now));
    const pauseMs = Math.max(0, REDRAW_MS - (performance.now() - began));
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

// Overwrites line by line from the top, then clears the rest: no flicker, and nothing scrolls.
function redraw(lines: readonly string[]): void {
  if (!isTerminal()) {
    for (const line of [...lines, '']) printLine(line);
    return;
  }
  const shown = lines.slice(0, Math.max(1, (process.stdout.rows ?? 24) - 1));
  process.stdout.write(`\u001b[H${shown.map(line => `${line}\u001b[K\n`).join('')}\u001b[J`);
}

/** The status as lines for people. */
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
          ...servers.map(
            ({ name, isUp }) => `${name}  ${isUp ? colors.green('up') : colors.red('unreachable')}`,
          ),
        ]),
    ...title('NODES'),
    ...(nodes.length === 0
      ? ['none: start one with `orch worker`']
      : tableLines(NODE_COLUMNS, nodes.map(nodeRow))),
    ...title('LANES'),
    ...(lanes.length === 0 ? ['none: the first task of a lane creates it'] : laneLines(lanes)),
    ...title('STREAMS'),
    ...tableLines(
      ['STREAM', 'MESSAGES', 'SIZE', 'REPLICAS', 'LEADER'],
      streams.map(({ name, messages, bytes, replicas, peers }) => [
        name,
        String(messages),
        `${(bytes / 1024 ** 2).toFixed(1)} MiB`,
        String(replicas),
        peers.find(({ isLeader }) => isLeader)?.name ?? '-',
      ]),
    ),
    '',
    `${colors.bold('AGENTS')}  ${agents.length} owned, ${agents.filter(agent => agent.status === 'working').length} working`,
    `${colors.bold('CHORES')}  ${chores ? `${chores.node}, for ${age(chores.since)}${choreText(chores.chores)}` : 'no node does them'}`,
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
