import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the benchmark of the memory runs, and finds all that was remembered', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/memory/run.js', '--smoke'], {
    // Piped, so without colour, even where a CI's variables ask for it.
    env: { ...process.env, CI: '1' },
  });
  expect(stdout).toMatch(/✓ growth[\s\S]*recall_hybrid[\s\S]*nDCG@10/);
  expect(stdout).not.toContain('✗');
});
