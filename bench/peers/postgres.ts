// PostgreSQL for the sides that need one: its own cluster on a free port, with the settings of Debian's package but for
// what durability asks.
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../src/server/index.ts';
import { Absent, type Served, type ServeOptions } from '../sides/side.ts';
import { startPeer, type User, versionOf } from './server.ts';

const ADVICE = 'apt-get install postgresql, see bench/peers/README.md';
/** Debian keeps the servers of all versions here, and out of PATH. */
const DEBIAN = '/usr/lib/postgresql';
const ROLE = 'bench';
/** A worker with 100 slots takes 102 connections; two of them and publishers fit. */
const CONNECTIONS_MAX = 400;

/** Starts a cluster with an empty database. Throws Absent. */
export async function servePostgres({ dataDir, sync }: ServeOptions): Promise<Served> {
  const bin = findBinaries();
  const version = versionOf(join(bin, 'postgres'), ADVICE);
  const user = unprivileged();
  const cluster = join(dataDir, 'cluster');
  mkdirSync(cluster);
  if (user) for (const folder of [dataDir, cluster]) chownSync(folder, user.uid, user.gid);
  const init = ['-D', cluster, '-U', ROLE, '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  const made = spawnSync(join(bin, 'initdb'), init, { cwd: '/', encoding: 'utf8', ...user });
  if (made.status !== 0) throw new Absent(`initdb failed: ${made.stderr.trim().split('\n')[0]}`);
  const port = await freePort();
  // What `always` means to it is its default; else it acknowledges first and writes within three times 200 ms.
  const commit = sync === 'always' ? 'on' : 'off';
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: String(CONNECTIONS_MAX),
    synchronous_commit: commit,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const url = `postgres://${ROLE}@127.0.0.1:${port}/postgres`;
  const isReady = () => query(url, 'select 1').then(() => true);
  const server = await startPeer([join(bin, 'postgres'), '-D', cluster, ...flags], {
    dataDir,
    user,
    isReady,
  });
  return { url, ...server, facts: `${version}, fsync on, synchronous_commit ${commit}, no replica` };
}

/** One query on a connection of its own. */
export async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

/** What autovacuum comes round to. */
export async function vacuum(url: string): Promise<void> {
  await query(url, 'vacuum (analyze)');
}

// The newest that is there.
function findBinaries(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const debian = versions.map(version => join(DEBIAN, version, 'bin'));
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...debian];
  const found = folders.find(
    folder => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')),
  );
  if (!found) throw new Absent(`postgres is not there: ${ADVICE}`);
  return found;
}

// It refuses to run as root; Debian's package makes a user for it.
function unprivileged(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  try {
    return { uid: idOf('-u'), gid: idOf('-g') };
  } catch {
    throw new Absent('postgres does not run as root, and there is no user postgres: run as another user');
  }
}
