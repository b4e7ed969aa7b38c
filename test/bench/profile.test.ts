// What the notes of the benchmark's page were read from.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'orch-profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });

test('a profile of node is told by function', () => {
  const code = 'function busy() { for (const end = Date.now() + 200; Date.now() < end; ); } busy()';
  node('--cpu-prof', `--cpu-prof-dir=${folder}`, '-e', code);
  const [file = ''] = readdirSync(folder);
  const { status, stdout } = node('bench/profile.js', join(folder, file));
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/by itself[\s\S]* %\s+busy .*\n[\s\S]*calls\n/),
  ]);
});

test.each([
  [['package.json'], 'no samples'],
  [['nosuch'], 'ENOENT'],
  [[], 'none was given'],
])('%j is refused in one line', (args, why) => {
  const { status, stderr } = node('bench/profile.js', ...args);
  expect([status, stderr]).toEqual([
    104,
    expect.stringMatching(`^a .cpuprofile is needed, .*${why}.*\nusage`),
  ]);
});
