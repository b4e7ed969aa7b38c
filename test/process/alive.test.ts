import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive } from '../../src/process/index.ts';

test('a process runs until it has ended, and one of another user does too', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  expect([isAlive(pid), isAlive(process.pid), isAlive(1)]).toEqual([true, true, true]);
  child.stdin.end();
  await once(child, 'exit');
  expect(isAlive(pid)).toBe(false);
});
