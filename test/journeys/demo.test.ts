// The demo is the first thing that a newcomer runs, and checks itself.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';

test('the demo runs, and all of its checks hold', async () => {
  const env = { ...process.env, ORCH_NATS_SERVER: inject('natsServer') };
  const { stdout } = await promisify(execFile)(process.execPath, ['demo/run.js'], { env });
  expect(stdout).toMatch(/All \d+ checks hold\./);
  expect(stdout).not.toContain('FAILED');
}, 120_000);
