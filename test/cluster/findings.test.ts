// What is reported about a cluster, from facts alone.
import { describe, expect, test } from 'vitest';
import type { ClusterFacts, LaneStatus } from '../../src/cluster/facts.ts';
import { findingsIn } from '../../src/cluster/findings.ts';
import { isDegradation } from '../../src/cluster/index.ts';
import { LANES_MAX, MAX_ACK_PENDING, MAX_WAITING, NodeRecord, PROTOCOL } from '../../src/protocol/index.ts';

const AT = new Date('2026-01-31T12:00:00.000Z');

const HEALTHY: ClusterFacts = {
  server: {
    name: 'n1',
    version: '2.14.3',
    url: '10.0.0.1:4222',
    cluster: 'c1',
    rttMs: 1,
    storage: 1,
    storageMax: 100,
    memory: 0,
    memoryMax: -1,
  },
  servers: ['n1', 'n2', 'n3'].map(name => ({ name, isUp: true })),
  protocol: PROTOCOL,
  streams: [stream()],
  lanes: [lane()],
  nodes: [node('build-1')],
  agents: [],
  chores: { node: 'build-1', incarnation: 'i', since: AT.toISOString(), chores: {} },
  unread: [],
  outsideLanes: 0,
};

function stream(fields: Partial<ClusterFacts['streams'][number]> = {}): ClusterFacts['streams'][number] {
  const peers = ['n1', 'n2', 'n3'].map(name => ({
    name,
    isLeader: name === 'n1',
    isUp: true,
    isCurrent: true,
  }));
  return {
    name: 'ORCH_TASKS',
    found: true,
    messages: 1,
    bytes: 1,
    replicas: 3,
    hasLeader: true,
    peers,
    differences: [],
    ...fields,
  };
}

function lane(fields: Partial<LaneStatus> = {}): LaneStatus {
  const counts = { waiting: 0, inFlight: 0, idleWorkers: 1, leaseMs: 15_000, oldestMs: null };
  return { priority: 'medium', lane: 'rust', consumer: 'medium_rust', isServed: true, ...counts, ...fields };
}

function node(
  id: string,
  fields: Partial<NodeRecord> = {},
  view: Partial<ClusterFacts['nodes'][number]> = {},
): ClusterFacts['nodes'][number] {
  const record = NodeRecord.parse({
    id,
    incarnation: 'i',
    protocol: PROTOCOL,
    startedAt: AT.toISOString(),
    sentAt: AT.toISOString(),
    version: '1.0.0',
    ...fields,
  });
  return { id, presence: 'live', heardAt: AT, record, ...view };
}

const gone = { isUp: false, isCurrent: false, isLeader: false };

const CASES: readonly [title: string, facts: Partial<ClusterFacts>, found: string[]][] = [
  [
    'an unreachable server',
    { servers: [{ name: 'n2', isUp: false }] },
    ['warning server n2: n2 is unreachable; streams have one replica fewer'],
  ],
  [
    'a server with known vulnerabilities, reached over the network',
    { server: { ...HEALTHY.server, version: '2.14.0' } },
    ['warning version nats-server: nats-server 2.14.0 has known vulnerabilities'],
  ],
  [
    'the same on loopback, as good to know',
    { server: { ...HEALTHY.server, version: '2.14.0', url: '127.0.0.1:4222' } },
    ['info version nats-server: nats-server 2.14.0 has known vulnerabilities; use it on loopback only'],
  ],
  [
    'storage that is nearly full',
    { server: { ...HEALTHY.server, storage: 90 * 1024 ** 2, storageMax: 100 * 1024 ** 2 } },
    ['warning storage n1: 90.0 MiB of 100.0 MiB are used'],
  ],
  [
    'a stream that does not exist',
    { streams: [stream({ found: false, hasLeader: false, peers: [] })] },
    ['warning stream ORCH_TASKS: ORCH_TASKS does not exist'],
  ],
  [
    'a stream without a leader',
    { streams: [stream({ hasLeader: false, peers: [] })] },
    ['error stream ORCH_TASKS: ORCH_TASKS has no leader: nothing can be written to it'],
  ],
  [
    'missing and late replicas',
    {
      streams: [
        stream({
          peers: [
            { name: 'n1', isLeader: true, isUp: true, isCurrent: true },
            { name: 'n2', isLeader: false, isUp: true, isCurrent: false },
            { name: 'n3', ...gone },
          ],
        }),
      ],
    },
    [
      'warning stream ORCH_TASKS: ORCH_TASKS: 2 of 3 replicas are up',
      'warning stream ORCH_TASKS: ORCH_TASKS is behind on n2',
    ],
  ],
  [
    'other settings',
    { streams: [stream({ differences: ['max_age: 0, expected 1'] })] },
    ['error stream ORCH_TASKS: ORCH_TASKS has other settings: max_age: 0, expected 1'],
  ],
  [
    'a single replica in a cluster',
    { streams: [stream({ replicas: 1, peers: [] })] },
    ['warning stream ORCH_TASKS: ORCH_TASKS has one replica in a cluster'],
  ],
  [
    'a lane that no node can serve',
    { lanes: [lane({ waiting: 2, isServed: false })] },
    ['warning lane medium_rust: medium_rust: 2 tasks wait, and no live node can serve it'],
  ],
  [
    'a lane near its limits',
    { lanes: [lane({ inFlight: MAX_ACK_PENDING, idleWorkers: MAX_WAITING })] },
    [
      `warning lane medium_rust: medium_rust: ${MAX_ACK_PENDING} tasks are in flight; at ${MAX_ACK_PENDING} it delivers no more`,
      `warning lane medium_rust: medium_rust: ${MAX_WAITING} idle workers wait; at most ${MAX_WAITING} can`,
    ],
  ],
  [
    'nearly as many lanes as there may be, and messages in none',
    { lanes: Array.from({ length: LANES_MAX }, () => lane()), outsideLanes: 3 },
    [
      `warning lane ORCH_TASKS: ${LANES_MAX} lanes exist; at most ${LANES_MAX} are allowed`,
      'warning lane ORCH_TASKS: 3 messages of ORCH_TASKS are in no lane yet',
    ],
  ],
  [
    'nodes that are lost or paused, and not those that left',
    {
      nodes: [
        ...HEALTHY.nodes,
        node('build-2', {}, { presence: 'lost', why: 'its key expired' }),
        node('build-3', { state: 'paused' }),
        node('build-4', {}, { presence: 'offline' }),
      ],
    },
    ['warning node build-2: build-2 is lost: its key expired', 'warning node build-3: build-3 is paused'],
  ],
  [
    'what a node reports about itself',
    { nodes: [node('build-1', { problems: ['no memories: no database driver'] })] },
    ['warning node build-1: build-1: no memories: no database driver'],
  ],
  [
    'different releases of orch',
    { nodes: [...HEALTHY.nodes, node('build-2', { version: '1.1.0' })] },
    ['warning version orch: the nodes run orch 1.0.0 and 1.1.0'],
  ],
  [
    'an agent that two nodes want',
    { nodes: [...HEALTHY.nodes, node('build-2', { waitingAgents: ['alice'] })] },
    ['warning agent alice: build-2 waits for agent alice'],
  ],
  [
    'a clock that is off',
    { nodes: [...HEALTHY.nodes, node('build-2', { sentAt: '2026-01-31T11:59:57.000Z' })] },
    ["warning clock build-2: build-2's clock is 3000 ms behind the server's"],
  ],
  ['chores that no node does', { chores: null }, ['warning chores chores: no node does the chores']],
  [
    'a holder of the chores that is lost, and a chore that fails',
    {
      nodes: [...HEALTHY.nodes, node('build-2', {}, { presence: 'offline' })],
      chores: {
        node: 'build-2',
        incarnation: 'i',
        since: AT.toISOString(),
        chores: { give_back: { rounds: 1, done: 0, failures: 2, error: 'no answer' } },
      },
    },
    [
      'warning chores chores: build-2 holds the chores lease and is offline',
      'warning chores give_back: give_back failed 2 times on build-2: no answer',
    ],
  ],
  [
    'a part that could not be read, and nothing that follows from its absence',
    { chores: null, unread: [{ part: 'chores', why: 'timed out' }] },
    ['warning unread chores: could not read the chores: timed out'],
  ],
];

describe('what is reported about a cluster', () => {
  test('is nothing when all is well', () => {
    expect(findingsIn(HEALTHY)).toEqual([]);
  });

  test.each(CASES)('is %s', (_, facts, found) => {
    const findings = findingsIn({ ...HEALTHY, ...facts });
    expect(
      findings.map(({ severity, subject, id, message }) => `${severity} ${subject} ${id}: ${message}`),
    ).toEqual(found);
  });

  test('has a next step wherever there is one to take', () => {
    const all = CASES.flatMap(([, facts]) => findingsIn({ ...HEALTHY, ...facts })).filter(isDegradation);
    const without = all.filter(({ advice }) => advice === undefined);
    expect([...new Set(without.map(({ message }) => message))]).toEqual([
      'ORCH_TASKS is behind on n2',
      'build-1: no memories: no database driver',
      'could not read the chores: timed out',
    ]);
  });
});
