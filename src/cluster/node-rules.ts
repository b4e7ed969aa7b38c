// Rules about nodes: their presence, versions, agents and clocks, and the chores that one of them does for all.
import { CHORES_LEASE, compareVersions, formatDuration, LEASE_TTL_MS } from '../protocol/index.ts';
import type { ClusterFacts } from './facts.ts';
import { type Rule, warning } from './finding.ts';

/** Only people and logs depend on clocks; no decision of orch does. */
const CLOCK_SKEW_MS = 2_000;

const NODE_ADVICE: Partial<Record<string, string>> = {
  silent: 'see whether its machine and process are up',
  lost: 'start it again; its tasks go to other nodes',
  incompatible: 'run the same release of orch on all nodes',
};

const absentNodes: Rule = ({ nodes }) =>
  nodes
    .filter(({ presence }) => presence !== 'live' && presence !== 'offline')
    .map(({ id, presence, why }) =>
      warning('node', id, `${id} is ${presence}${why ? `: ${why}` : ''}`, NODE_ADVICE[presence]),
    );

const idledNodes: Rule = ({ nodes }) =>
  nodes.flatMap(({ id, presence, record }) =>
    presence === 'live' && (record?.state === 'draining' || record?.state === 'paused')
      ? [warning('node', id, `${id} is ${record.state}`, `\`orch resume ${id}\` lets it take tasks again`)]
      : [],
  );

// What a node reports about itself, such as a missing database driver.
const reportedProblems: Rule = ({ nodes }) =>
  liveRecords(nodes).flatMap(({ id, problems }) =>
    problems.map(problem => warning('node', id, `${id}: ${problem}`)),
  );

const mixedVersions: Rule = ({ nodes }) => {
  const versions = [...new Set(liveRecords(nodes).map(({ version }) => version))].sort(compareVersions);
  return versions.length > 1
    ? [
        warning(
          'version',
          'orch',
          `the nodes run orch ${versions.join(' and ')}`,
          `upgrade all to ${versions.at(-1)}`,
        ),
      ]
    : [];
};

const contendedAgents: Rule = ({ nodes, agents }) =>
  nodes.flatMap(({ id, presence, record }) =>
    presence !== 'live'
      ? []
      : (record?.waitingAgents ?? []).map(agent => {
          const owner = agents.find(known => known.id === agent)?.owner;
          return warning(
            'agent',
            agent,
            `${id} waits for agent ${agent}${owner ? `, which ${owner} owns` : ''}`,
            'give the agent to one node only',
          );
        }),
  );

/** How far the clock of each live node is ahead of the server's, by the times in and of its last heartbeat. */
export const clockSkews = ({ nodes }: ClusterFacts): { id: string; ms: number }[] =>
  nodes.flatMap(({ id, presence, record, heardAt }) =>
    presence === 'live' && record?.sentAt ? [{ id, ms: Date.parse(record.sentAt) - heardAt.getTime() }] : [],
  );

const skewedClocks: Rule = facts =>
  clockSkews(facts)
    .filter(({ ms }) => Math.abs(ms) > CLOCK_SKEW_MS)
    .map(({ id, ms }) =>
      warning(
        'clock',
        id,
        `${id}'s clock is ${Math.abs(ms)} ms ${ms < 0 ? 'behind' : 'ahead of'} the server's`,
        'synchronise the clocks, with NTP for instance',
      ),
    );

const choresWithoutHolder: Rule = ({ chores, nodes, unread }) =>
  !chores &&
  !unread.some(({ part }) => part === 'chores') &&
  nodes.some(({ presence }) => presence === 'live')
    ? [
        warning(
          'chores',
          CHORES_LEASE,
          'no node does the chores',
          `wait: one takes over within ${formatDuration(LEASE_TTL_MS)}`,
        ),
      ]
    : [];

const choresOfAbsentHolder: Rule = ({ chores, nodes }) => {
  const holder = chores && nodes.find(({ id }) => id === chores.node);
  return holder && holder.presence !== 'live'
    ? [
        warning(
          'chores',
          CHORES_LEASE,
          `${holder.id} holds the chores lease and is ${holder.presence}`,
          `wait: another node takes over within ${formatDuration(LEASE_TTL_MS)}`,
        ),
      ]
    : [];
};

const failingChores: Rule = ({ chores }) =>
  Object.entries(chores?.chores ?? {})
    .filter(([, { failures }]) => failures > 0)
    .map(([name, { failures, error: why = 'no reason given' }]) =>
      warning(
        'chores',
        name,
        `${name} failed ${failures === 1 ? 'once' : `${failures} times`} on ${chores?.node}: ${why}`,
        'see the log of that node',
      ),
    );

/** The records of the nodes that are live. */
export const liveRecords = (nodes: ClusterFacts['nodes']) =>
  nodes.flatMap(({ presence, record }) => (presence === 'live' && record ? [record] : []));

/** In the order in which they are listed. */
export const NODE_RULES: readonly Rule[] = [
  absentNodes,
  idledNodes,
  reportedProblems,
  mixedVersions,
  contendedAgents,
  skewedClocks,
  choresWithoutHolder,
  choresOfAbsentHolder,
  failingChores,
];
