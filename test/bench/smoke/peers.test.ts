import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runBench } from './run.ts';

const isInstalled = existsSync('bench/peers/node_modules');

test('a peer that is not there is reported as absent, and the run goes on without it', async () => {
  // Nothing is found there, redis-server least of all.
  const PATH = '/nowhere';
  const { code, shown } = await runBench(['--smoke', 'dispatch', '--sides', 'orch', '--peer', 'bullmq'], {
    PATH,
  });
  expect([code, shown]).toEqual([
    0,
    expect.stringMatching(/absent: (redis-server is not there|bullmq is not installed)/),
  ]);
  expect(shown).not.toContain('to:bullmq');
});

test.runIf(isInstalled)('the files of the peers have the types that they claim', async () => {
  const check = promisify(execFile)('npm', ['run', 'check', '--prefix', 'bench/peers']);
  await expect(check).resolves.toBeDefined();
});

test.runIf(isInstalled)('every peer that is there is measured, and loses and doubles nothing', async () => {
  const { code, shown } = await runBench([
    '--smoke',
    'dispatch',
    'drain',
    '--sides',
    'orch',
    '--peer',
    'all',
    '--sync',
    '1s',
  ]);
  expect([code, shown]).toEqual([0, expect.stringMatching(/checks_failed\S*: 0\.00%/)]);
  for (const peer of ['bullmq', 'graphile-worker', 'graphile-local', 'pg-boss'])
    expect(shown).toMatch(
      new RegExp(`drain \\(1s\\), ${peer}: every task ran once|${peer}: .* is not there`),
    );
});
