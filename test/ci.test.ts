// .ci/run with suites that only pretend to run: a `npm` of our own prints what each is to have printed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'orch-ci-'));
mkdirSync(join(folder, 'bin'));
mkdirSync(join(folder, '.ci'));
// With two suites, however many there are.
const script = readFileSync('.ci/run', 'utf8').replace(
  /suites=\([^)]*\)/,
  'suites=("npm test" "npm run other")',
);
writeFileSync(join(folder, '.ci/run'), script, { mode: 0o755 });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `npm ci`, `npm test` and each `npm run` do, as lines of shell. */
function run(npm: { ci?: string; test?: string; run?: string }) {
  const { ci = 'echo added 1 package', test = 'echo "5 passed, 0 failed"', run = test } = npm;
  const script = `#!/bin/sh\ncase $1 in\nci) ${ci};;\ntest) ${test};;\nrun) ${run};;\nesac\n`;
  writeFileSync(join(folder, 'bin/npm'), script, { mode: 0o755 });
  const PATH = `${join(folder, 'bin')}:${process.env['PATH']}`;
  const { status, stdout } = spawnSync(join(folder, '.ci/run'), { env: { PATH }, encoding: 'utf8' });
  return { status, last: stdout.trimEnd().split('\n').at(-1), stdout };
}

test('the last line counts the tests of all suites', () => {
  const line = 'echo "3 passed, 0 failed, 2 skipped in 1.0 s"; echo npm notice';
  const { status, last, stdout } = run({ run: line });
  expect([status, last]).toEqual([0, '8 passed, 0 failed']);
  expect(stdout).toContain('3 passed, 0 failed, 2 skipped in 1.0 s');
});

test('a failed test fails the run, and the suites after it are run all the same', () => {
  const { status, last } = run({
    test: 'echo "4 passed, 1 failed"; exit 1',
    run: 'echo "3 passed, 0 failed"',
  });
  expect([status, last]).toEqual([1, '7 passed, 1 failed']);
});

test.each([
  ['ends with an error before its tests', 'echo "src/a.ts: error"; exit 2', '5 passed, 1 failed'],
  ['ends with an error after them', 'echo "3 passed, 0 failed"; exit 1', '8 passed, 1 failed'],
  ['was skipped', 'echo "no engine: skipped"', '5 passed, 1 failed'],
  ['skipped each of its tests', 'echo "0 passed, 0 failed, 9 skipped"', '5 passed, 1 failed'],
])('a suite that %s counts as failed', (_what, suite, expected) => {
  const { status, last } = run({ run: suite });
  expect([status, last]).toEqual([1, expected]);
});

test('packages that cannot be installed fail the run', () => {
  const { status, last } = run({ ci: 'exit 1' });
  expect([status, last]).toEqual([1, '0 passed, 1 failed']);
});
