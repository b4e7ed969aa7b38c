// The public face is in files that a review sees; they must be what the code makes of it.
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

test('the API reports, the interfaces and the reference are what the code makes of them', async () => {
  const stderr = await new Promise<string>(settle => {
    execFile(process.execPath, ['api/run.js'], (error, _stdout, stderr) =>
      settle(error === null ? '' : stderr || error.message),
    );
  });
  expect(stderr).toBe('');
}, 120_000);
