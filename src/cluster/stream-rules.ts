// Rules about streams: existence, leader, replicas and settings.
import { error, type Rule, warning } from './finding.ts';

const missingStreams: Rule = ({ streams }) =>
  streams
    .filter(({ found }) => !found)
    .map(({ name }) =>
      warning(
        'stream',
        name,
        `${name} does not exist`,
        '`orch up`, `orch worker` or the first task creates it',
      ),
    );

const leaderlessStreams: Rule = ({ streams }) =>
  streams
    .filter(({ found, hasLeader }) => found && !hasLeader)
    .map(({ name }) =>
      error(
        'stream',
        name,
        `${name} has no leader: nothing can be written to it`,
        'start servers until more than half of its replicas are up',
      ),
    );

const missingReplicas: Rule = ({ streams }) =>
  streams.flatMap(({ name, replicas, peers }) => {
    const up = peers.filter(({ isUp }) => isUp).length;
    return peers.length > 0 && up < replicas
      ? [
          warning(
            'stream',
            name,
            `${name}: ${up} of ${replicas} replicas are up`,
            'start the missing servers again',
          ),
        ]
      : [];
  });

const lateReplicas: Rule = ({ streams }) =>
  streams.flatMap(({ name, peers }) => {
    const late = peers.filter(({ isUp, isCurrent }) => isUp && !isCurrent).map(peer => peer.name);
    return late.length > 0 ? [warning('stream', name, `${name} is behind on ${late.join(', ')}`)] : [];
  });

const otherSettings: Rule = ({ streams }) =>
  streams
    .filter(({ differences }) => differences.length > 0)
    .map(({ name, differences }) =>
      error(
        'stream',
        name,
        `${name} has other settings: ${differences.join('; ')}`,
        `change them back with \`nats stream edit ${name}\``,
      ),
    );

// A cluster exists to survive the loss of a server; a stream with one replica does not survive it.
const singleReplicas: Rule = ({ streams, servers, server }) =>
  server.cluster && servers.length > 1
    ? streams
        .filter(({ replicas }) => replicas === 1)
        .map(({ name }) =>
          warning(
            'stream',
            name,
            `${name} has one replica in a cluster`,
            `\`nats stream edit ${name} --replicas 3\` adds two; start with \`--replicas 3\` next time`,
          ),
        )
    : [];

/** In the order in which they are listed. */
export const STREAM_RULES: readonly Rule[] = [
  missingStreams,
  leaderlessStreams,
  missingReplicas,
  lateReplicas,
  otherSettings,
  singleReplicas,
];
