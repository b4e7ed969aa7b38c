// Nodes whose machine has no build of libsql, as on FreeBSD: real processes from which it is hidden.
import { isBuiltin } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';

const hasNodeSqlite = isBuiltin('node:sqlite');
let nats: TestNats;
let orch: Orch;
let worker: Running;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
  orch.env = { NODE_OPTIONS: `--import ${pathToFileURL(resolve('test/support/hide-libsql.js'))}` };
  worker = orch.start(['worker', '--node', 'n', '--caps', 'here', '--agents', 'alice:shared']);
  await worker.ready();
});
afterAll(async () => {
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

const runTask = async (words: string) => {
  const { code, stdout } = await orch.run(['publish-task', '--caps', 'here', '--wait', `echo ${words}`]);
  expect([code, stdout]).toEqual([0, `${words}\n`]);
};

describe.runIf(!hasNodeSqlite)('without libsql and without node:sqlite', () => {
  const refusal = /agents have no memory on \S+ with Node \S+: Cannot find module 'libsql\/promise'; /;

  test('a node runs tasks, and refuses its agents’ memories in one line', async () => {
    await runTask('first');
    const asked = await orch.run(['recall', 'anything', '--as', 'alice']);
    expect([asked.code, asked.stderr.split('\n')]).toEqual([
      3,
      [expect.stringMatching(refusal), expect.stringContaining('use Node 22.13 or newer'), ''],
    ]);
    const exported = await orch.run(['memory', 'export', 'alice']);
    expect([exported.code, exported.stderr]).toEqual([
      4,
      expect.stringContaining('no memory on this machine'),
    ]);
  });

  test('the node’s record and the cluster’s status show why', async () => {
    const { record } = JSON.parse((await orch.run(['node', 'n', '--json'])).stdout);
    expect(record).toMatchObject({ features: [], problems: [expect.stringMatching(refusal)] });
    expect((await orch.run(['node', 'n'])).stdout).toMatch(refusal);
    expect((await orch.run(['status'])).stdout).toMatch(refusal);
  });

  test('its log says so once, however often its agents change', async () => {
    await runTask('second');
    await runTask('third');
    expect(worker.stderr.match(/the agents of this node have no memory/g)).toHaveLength(1);
    expect(worker.stderr).not.toContain('cannot open the memory');
  });
});

describe.runIf(hasNodeSqlite)('without libsql, where Node has SQLite', () => {
  test('a node serves its agents’ memories all the same', async () => {
    await runTask('first');
    const content = 'deploys go out on Tuesdays';
    expect((await orch.run(['remember', content, '--as', 'alice'])).code).toBe(0);
    expect((await orch.run(['recall', 'deploys', '--as', 'alice'])).stdout).toContain(content);
    const { record } = JSON.parse((await orch.run(['node', 'n', '--json'])).stdout);
    expect(record).toMatchObject({ features: ['memory'], problems: [] });
    expect(worker.stderr).not.toContain('ExperimentalWarning');
    expect((await orch.run(['memory', 'export', 'alice'])).stdout).toContain(content);
  });
});
