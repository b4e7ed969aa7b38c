// Finds a nats-server to run: one that was named, one on PATH that is new enough, the newest one in the user's cache
// folder, or one that is downloaded there on first need.
import { execFile } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { compareVersions, OrchError, SERVER_VERSION_MIN } from '../protocol/index.ts';
import { cachedVersions, downloadServer, executable } from './download.ts';

const run = promisify(execFile);

/** A nats-server, and where it was found. */
export interface ServerBinary {
  path: string;
  version: string;
  source: 'given' | 'path' | 'cache' | 'download';
}

/** Where to look for a nats-server. */
export interface FindServerOptions {
  /** `--nats-server` or `ORCH_NATS_SERVER`. */
  given?: string | undefined;
  cacheDir: string;
  /** The PATH to look on. */
  path: string;
  /** Called when a download begins. */
  onDownload?: () => void;
}

/** Throws `usage` for a given binary that cannot run or is too old, `unavailable` when the download fails. */
export async function findServer(options: FindServerOptions): Promise<ServerBinary> {
  const { given, cacheDir, path, onDownload } = options;
  if (given !== undefined) return givenBinary(given);
  const found = (await onPath(path)) ?? (await inCache(cacheDir));
  if (found) return found;
  onDownload?.();
  return { ...(await downloadServer(cacheDir)), source: 'download' };
}

async function givenBinary(path: string): Promise<ServerBinary> {
  const version = await versionOf(path);
  if (version === undefined)
    throw new OrchError('usage', `${path} is not a nats-server: it does not print its version`, {
      advice: 'pass the path of a nats-server binary',
    });
  if (compareVersions(version, SERVER_VERSION_MIN) < 0) {
    throw new OrchError(
      'usage',
      `nats-server ${path} is version ${version}; ${SERVER_VERSION_MIN} or newer is needed`,
    );
  }
  return { path, version, source: 'given' };
}

async function onPath(path: string): Promise<ServerBinary | undefined> {
  for (const dir of path.split(delimiter).filter(Boolean)) {
    const candidate = join(dir, executable());
    if (!(await isExecutable(candidate))) continue;
    const version = await versionOf(candidate);
    if (version && compareVersions(version, SERVER_VERSION_MIN) >= 0)
      return { path: candidate, version, source: 'path' };
  }
  return undefined;
}

async function inCache(cacheDir: string): Promise<ServerBinary | undefined> {
  const versions = await readdir(cachedVersions(cacheDir)).catch(() => []);
  for (const version of versions.sort(compareVersions).reverse()) {
    const path = join(cachedVersions(cacheDir), version, 'bin', executable());
    if (await isExecutable(path)) return { path, version, source: 'cache' };
  }
  return undefined;
}

async function versionOf(path: string): Promise<string | undefined> {
  const output = await run(path, ['--version'], { timeout: 10_000 }).catch(() => undefined);
  return /nats-server: v?(\d+\.\d+\.\d+\S*)/.exec(output?.stdout ?? '')?.[1];
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
