// Rules about servers: their reachability, version and storage.
import { compareVersions, SAFE_SERVER_VERSION } from '../protocol/index.ts';
import { info, type Rule, warning } from './finding.ts';

/** Storage is reported at this share of its limit, while there is time to act. */
const STORAGE_SHARE = 0.85;

const unreachableServers: Rule = ({ servers }) =>
  servers
    .filter(({ isUp }) => !isUp)
    .map(({ name }) =>
      warning(
        'server',
        name,
        `${name} is unreachable; streams have one replica fewer`,
        'start it again, or see its log',
      ),
    );

// Where the server listens is not known; how this client reached it is.
const vulnerableServer: Rule = ({ server: { version, url } }) => {
  if (compareVersions(version, SAFE_SERVER_VERSION) >= 0) return [];
  const advice = `upgrade to ${SAFE_SERVER_VERSION} or newer`;
  return isLoopback(url)
    ? [
        info(
          'version',
          'nats-server',
          `nats-server ${version} has known vulnerabilities; use it on loopback only`,
          advice,
        ),
      ]
    : [warning('version', 'nats-server', `nats-server ${version} has known vulnerabilities`, advice)];
};

const fullStorage: Rule = ({ server: { name, storage, storageMax } }) =>
  storageMax > 0 && storage / storageMax > STORAGE_SHARE
    ? [
        warning(
          'storage',
          name,
          `${mebibytes(storage)} of ${mebibytes(storageMax)} are used`,
          'raise the limit of the account or the server, or let streams keep less',
        ),
      ]
    : [];

/** Bytes for people. */
export const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

const isLoopback = (url: string): boolean =>
  /^([a-z]+:\/\/)?(127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)(:\d+)?$/i.test(url);

/** In the order in which they are listed. */
export const SERVER_RULES: readonly Rule[] = [unreachableServers, vulnerableServer, fullStorage];
