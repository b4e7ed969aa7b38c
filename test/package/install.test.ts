// The package as a user gets it: packed, and installed by npm into an empty project with a prefix and a cache of its own.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/server/index.ts';
import { Orch } from '../support/orch.ts';
import { until } from '../support/wait.ts';

const PACKAGES_MAX = 60;
const MEGABYTES_MAX = 40;
const REPOSITORY = resolve('.');
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string; files: string[] };

let folder: string;
let project: string;
let installed: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orch-install-'));
  project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{"name": "project", "private": true, "type": "module"}');
  // What is in dist/ is what the tests run; it is not built again.
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], REPOSITORY);
  const [{ filename = '' } = {}] = JSON.parse(packed.stdout) as { filename: string }[];
  installed = run('npm', ['install', '--no-audit', '--no-fund', join(folder, filename)], project).all;
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the installed package', () => {
  test('names in `files` only what exists', () => {
    expect(manifest.files.filter(file => !existsSync(file))).toEqual([]);
  });

  test('brings README, LICENSE and the licences of what it contains', () => {
    const place = join(project, 'node_modules', 'orch');
    for (const file of ['README.md', 'LICENSE', 'subjects.md', 'dist/THIRD_PARTY_LICENSES.txt'])
      expect(existsSync(join(place, file)), file).toBe(true);
  });

  test('comes without a warning about engines or deprecated packages', () => {
    expect(installed).toMatch(/added \d+ packages/);
    expect(installed).not.toMatch(/EBADENGINE|deprecated/);
  });

  test(`is fewer than ${PACKAGES_MAX} packages and under ${MEGABYTES_MAX} MB`, () => {
    const lock = join(project, 'node_modules', '.package-lock.json');
    const { packages } = JSON.parse(readFileSync(lock, 'utf8')) as { packages: object };
    const count = Object.keys(packages).length;
    const megabytes = bytesIn(join(project, 'node_modules')) / 1e6;
    console.log(`the installed package: ${count} packages, ${megabytes.toFixed(1)} MB`);
    expect(count).toBeLessThan(PACKAGES_MAX);
    expect(megabytes).toBeLessThan(MEGABYTES_MAX);
  });

  test('runs: its version, a server and a worker, a task from its publishing to its output', async () => {
    using orch = new Orch(undefined, join(project, 'node_modules', '.bin', 'orch'));
    expect((await orch.run(['--version'])).stdout).toBe(`${manifest.version}\n`);
    const port = await freePort();
    const up = orch.start(['up', '--port', String(port), '--caps', 'here', '--agents', 'alice']);
    await until('it to be up', () => up.stdout.includes('second machine'));
    orch.env = { NATS_URL: `nats://127.0.0.1:${port}` };
    const published = await orch.run(['publish-task', '--caps', 'here', '--wait', 'echo "I am $ORCH_AGENT"']);
    expect([published.code, published.stdout]).toEqual([0, 'I am alice\n']);
    expect((await orch.run(['remember', 'it works', '--as', 'alice'])).code).toBe(0);
    up.kill('SIGTERM');
    expect((await up.finished).code).toBe(0);
    expect((await orch.run(['tasks'])).code).toBe(3);
  });

  test('is read by strict TypeScript that checks libraries too', () => {
    writeFileSync(join(project, 'program.ts'), PROGRAM);
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      target: 'ES2023',
      lib: ['ES2023', 'ESNext.Disposable'],
      module: 'NodeNext',
      types: ['node'],
      typeRoots: [join(REPOSITORY, 'node_modules', '@types')],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
    const tsc = join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  });
});

const PROGRAM = `
import { connect, type Orch, OrchError, type TaskRecord } from 'orch';
import { TaskMessage } from 'orch/protocol';

const orch: Orch = await connect({ servers: ['nats://127.0.0.1:4222'], actor: 'program' });
const worker = await orch.runWorker({ capabilities: ['rust'], handler: (task, { log }) => log(task.id) });
try {
  const record: TaskRecord = await orch.publishAndWait(
    { capabilities: ['rust'], input: TaskMessage.parse({}).input },
    { signal: AbortSignal.timeout(1_000) },
  );
  console.log(record.state);
  // @ts-expect-error: a list of servers is a list.
  await connect({ servers: 'nats://127.0.0.1:4222' });
} catch (error) {
  if (!(error instanceof OrchError)) throw error;
} finally {
  await worker.stop();
  await orch.close();
}
`;

function run(command: string, words: readonly string[], cwd: string): { stdout: string; all: string } {
  const env = {
    ...process.env,
    npm_config_cache: join(folder, 'cache'),
    npm_config_prefix: join(folder, 'prefix'),
  };
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${stderr}`);
  return { stdout, all: stdout + stderr };
}

function bytesIn(path: string): number {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0);
}
