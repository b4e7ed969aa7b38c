// Is everything as orch needs it? One finding for each thing that was looked at.
import type { Bus, ServerFacts, StreamReport } from '../bus/index.ts';
import {
  compareVersions,
  formatProtocol,
  LANES_MAX,
  MAX_ACK_PENDING,
  MAX_WAITING,
  SAFE_SERVER_VERSION,
  TASKS,
} from '../protocol/index.ts';
import { countOutsideLanes } from '../tasks/index.ts';
import { type ClusterStatus, readStatus } from './status.ts';

export type FindingLevel = 'ok' | 'warning' | 'problem';

/** The shape of an element of `orch doctor --json`. */
export interface Finding {
  check: string;
  level: FindingLevel;
  text: string;
}

/** Clocks of people and logs; nothing that orch decides depends on them. */
const CLOCK_SKEW_MS = 2_000;
const STORAGE_SHARE = 0.85;
const LIMIT_SHARE = 0.8;

/** Throws `unavailable`. A server that orch was never used on is no error. */
export async function examine(bus: Bus): Promise<Finding[]> {
  const streams = await bus.streams.inspect();
  if (!streams.every(({ found }) => found))
    return [...examineServer(await bus.server.facts()), ...streams.map(examineStream)];
  const status = await readStatus(bus);
  return [
    ...examineServer(status.server),
    ...status.streams.map(examineStream),
    ...examineReplicas(status),
    ...(await examineLanes(bus, status)),
    ...examineNodes(status),
    ...examineClocks(status),
    ...examineChores(status),
  ];
}

function examineServer(server: ServerFacts): Finding[] {
  const { name, url, cluster, rttMs, version, storage, storageMax } = server;
  const where = `${name} at ${url}${cluster ? `, cluster ${cluster}` : ''}, ${rttMs} ms away`;
  const isOld = compareVersions(version, SAFE_SERVER_VERSION) < 0;
  const age = isOld
    ? `${version} has published vulnerabilities; ${SAFE_SERVER_VERSION} or newer before it listens beyond loopback`
    : version;
  const isFull = storageMax > 0 && storage / storageMax > STORAGE_SHARE;
  const used = `${mib(storage)} used${storageMax > 0 ? ` of ${mib(storageMax)}` : ', no limit set'}`;
  return [
    finding('server', 'ok', where),
    finding('version', isOld ? 'warning' : 'ok', age),
    finding('storage', isFull ? 'warning' : 'ok', used),
  ];
}

function examineStream({ name, found, messages, bytes, replicas, differences }: StreamReport): Finding {
  if (!found)
    return finding(
      'stream',
      'warning',
      `${name} does not exist; \`orch up\`, a worker or the first task creates it`,
    );
  if (differences.length > 0)
    return finding('stream', 'problem', `${name} differs: ${differences.join('; ')}`);
  const copies = `${replicas} ${replicas === 1 ? 'copy' : 'copies'}`;
  return finding('stream', 'ok', `${name}: ${messages} messages, ${mib(bytes)}, ${copies}`);
}

function examineReplicas({ streams, servers, server }: ClusterStatus): Finding[] {
  const list: Finding[] = [];
  for (const { name, replicas, hasLeader, peers } of streams) {
    const up = peers.filter(({ isUp }) => isUp).length;
    if (!hasLeader)
      list.push(finding('replicas', 'problem', `${name} has no leader: nothing can be written`));
    else if (peers.length > 0 && up < replicas)
      list.push(finding('replicas', 'warning', `${name}: ${up} of ${replicas} copies are up`));
  }
  const single = streams.filter(({ replicas }) => replicas === 1).map(({ name }) => name);
  // A cluster is there to survive a server; a stream with one copy does not.
  if (server.cluster && servers.length > 1 && single.length > 0)
    list.push(
      finding(
        'replicas',
        'warning',
        `${single.join(', ')} have one copy in a cluster; \`orch worker --replicas 3\` makes three where they are created`,
      ),
    );
  return list.length > 0 ? list : [finding('replicas', 'ok', 'every copy of every stream is up')];
}

async function examineLanes(bus: Bus, { lanes }: ClusterStatus): Promise<Finding[]> {
  const list: Finding[] = [];
  for (const { consumer, lane, waiting, inFlight, idleWorkers, isServed } of lanes) {
    if (waiting > 0 && !isServed)
      list.push(
        finding(
          'lane',
          'warning',
          `${consumer}: ${waiting} wait and no live node can serve it; is there a worker with --caps ${lane.replaceAll('+', ',')}?`,
        ),
      );
    if (inFlight > MAX_ACK_PENDING * LIMIT_SHARE)
      list.push(
        finding(
          'lane',
          'warning',
          `${consumer}: ${inFlight} in flight, it stands still at ${MAX_ACK_PENDING}`,
        ),
      );
    if (idleWorkers > MAX_WAITING * LIMIT_SHARE)
      list.push(
        finding(
          'lane',
          'warning',
          `${consumer}: ${idleWorkers} idle workers wait, at most ${MAX_WAITING} can`,
        ),
      );
  }
  if (lanes.length > LANES_MAX * LIMIT_SHARE)
    list.push(finding('lanes', 'warning', `${lanes.length} lanes, at most ${LANES_MAX} are allowed`));
  const left = await countOutsideLanes(bus, lanes);
  if (left > 0)
    list.push(
      finding(
        'lane',
        'warning',
        `${left} messages of ${TASKS} are in no lane yet; whoever does the chores makes one within seconds`,
      ),
    );
  return list.length > 0
    ? list
    : [finding('lanes', 'ok', `${lanes.length} lanes, none that waits without being served`)];
}

function examineNodes({ nodes, protocol }: ClusterStatus): Finding[] {
  const list = nodes.flatMap(({ id, presence, why }) =>
    presence === 'live' || presence === 'offline'
      ? []
      : [finding('node', 'warning', `${id} is ${presence}${why ? `: ${why}` : ''}`)],
  );
  const live = nodes.flatMap(({ presence, record }) => (presence === 'live' && record ? [record] : []));
  const versions = [...new Set(live.map(({ version }) => version))].sort(compareVersions);
  if (versions.length > 1)
    list.push(finding('versions', 'warning', `the nodes run orch ${versions.join(' and ')}`));
  const summary = `${live.length} live, orch ${versions.join(', ') || '-'}, protocol ${formatProtocol(protocol)}`;
  return list.length > 0 ? list : [finding('nodes', 'ok', summary)];
}

// A heartbeat carries its node's time, and the server wrote its own beside it.
function examineClocks({ nodes }: ClusterStatus): Finding[] {
  const skews = nodes.flatMap(({ id, presence, record, heardAt }) =>
    presence === 'live' && record?.sentAt ? [{ id, ms: Date.parse(record.sentAt) - heardAt.getTime() }] : [],
  );
  const off = skews.filter(({ ms }) => Math.abs(ms) > CLOCK_SKEW_MS);
  if (off.length > 0) {
    return off.map(({ id, ms }) =>
      finding(
        'clock',
        'warning',
        `${id}'s clock is ${Math.abs(ms)} ms ${ms < 0 ? 'behind' : 'ahead of'} the server's`,
      ),
    );
  }
  const most = Math.max(0, ...skews.map(({ ms }) => Math.abs(ms)));
  return skews.length === 0
    ? []
    : [finding('clock', 'ok', `no node's clock is more than ${most} ms off the server's`)];
}

function examineChores({ chores, nodes }: ClusterStatus): Finding[] {
  if (!chores) {
    const hasNodes = nodes.some(({ presence }) => presence === 'live');
    return hasNodes ? [finding('chores', 'warning', 'no node does them; one takes over within 20 s')] : [];
  }
  const failing = Object.entries(chores.chores).filter(([, { failures }]) => failures > 0);
  return failing.length === 0
    ? [finding('chores', 'ok', `${chores.node} does them`)]
    : failing.map(([name, { failures, error }]) =>
        finding('chores', 'warning', `${name} failed ${failures} times on ${chores.node}: ${error}`),
      );
}

const finding = (check: string, level: FindingLevel, text: string): Finding => ({ check, level, text });
const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
