// A run of vitest on tests that pass, fail and are skipped in every way there is.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'orch-closing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

writeFileSync(
  join(folder, 'vitest.config.js'),
  `import { ClosingLine } from ${JSON.stringify(resolve('test/support/closing-line.ts'))};
export default { test: { globals: true, reporters: ['default', new ClosingLine()] } };`,
);

const lastLineOf = (name: string, tests: string): Promise<string | undefined> => {
  writeFileSync(join(folder, `${name}.test.js`), tests);
  const words = [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', folder, name];
  return new Promise(settle => {
    execFile(process.execPath, words, (_error, stdout) => settle(stdout.trimEnd().split('\n').at(-1)));
  });
};

test('counts what passed, failed and was skipped', async () => {
  const tests = `test('a', () => {}); test('b', () => {}); test.skip('c', () => {}); test('d', () => { throw new Error('no'); });`;
  expect(await lastLineOf('mixed', tests)).toMatch(/^2 passed, 1 failed, 1 skipped in \d+\.\d s$/);
});

test('counts a set-up that fails as a failure', async () => {
  const tests = `describe('set', () => { beforeAll(() => { throw new Error('no'); }); test('a', () => {}); });`;
  expect(await lastLineOf('set-up', tests)).toMatch(/^0 passed, 1 failed, 1 skipped /);
});

test('counts a file that cannot be loaded as a failure', async () => {
  expect(await lastLineOf('broken', `throw new Error('no');`)).toMatch(/^0 passed, 1 failed, 0 skipped /);
});

test('counts an error that no test waited for as a failure', async () => {
  const tests = `test('a', () => { Promise.reject(new Error('no')); });`;
  expect(await lastLineOf('unhandled', tests)).toMatch(/^1 passed, 1 failed, 0 skipped /);
});
