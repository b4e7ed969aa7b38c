// The second driver of memories: the tests of the memory, and of a node's memories, again on Node 22 without libsql.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

const NODE_PACKAGE = `node-${process.platform}-${process.arch}`;
const HIDE = `--import=${pathToFileURL(resolve('test/support/hide-libsql.js'))}`;

let folder: string;
let node: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orch-node-22-'));
  const words = ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', `${NODE_PACKAGE}@22`];
  const { status, stderr } = spawnSync('npm', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  node = join(folder, 'node_modules', NODE_PACKAGE, 'bin', 'node');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs Node 22 without libsql, and without what this run of the tests has told its own processes. */
function run(...words: string[]): { status: number | null; output: string } {
  const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_)/.test(name));
  const env = { ...Object.fromEntries(own), NODE_OPTIONS: HIDE, ORCH_NATS_SERVER: inject('natsServer') };
  const { status, stdout, stderr } = spawnSync(node, words, { encoding: 'utf8', env });
  return { status, output: stdout + stderr };
}

test('the driver is that of Node where libsql cannot be loaded', () => {
  const index = pathToFileURL(resolve('src/memory/index.ts'));
  const script = `import(${JSON.stringify(index)}).then(async memory => console.log(await memory.driverName()))`;
  expect(run('--disable-warning=ExperimentalWarning', '--eval', script)).toEqual({
    status: 0,
    output: 'node:sqlite\n',
  });
});

test('all tests of the memory pass with it', () => {
  // This one compares with libsql.
  const words = [
    'test/memory',
    'test/daemon/memories.test.ts',
    '--exclude',
    'test/memory/database/vector8.test.ts',
  ];
  const { status, output } = run('node_modules/vitest/vitest.mjs', 'run', '--maxWorkers=1', ...words);
  console.log(output.split('\n').slice(-7).join('\n'));
  expect(status, output).toBe(0);
});
