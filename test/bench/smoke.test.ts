import { spawn } from 'node:child_process';
import { expect, inject, test } from 'vitest';

test('every scenario of the benchmark runs, and loses and doubles nothing', async () => {
  const env = { ...process.env, ORCH_NATS_SERVER: inject('natsServer') };
  const child = spawn(process.execPath, ['bench/run.js', '--smoke'], { env });
  let shown = '';
  child.stdout.on('data', text => {
    shown += text;
  });
  child.stderr.on('data', text => {
    shown += text;
  });
  const code = await new Promise(settle => child.once('close', settle));
  expect([code, shown]).toEqual([
    0,
    expect.stringMatching(/dispatch_p50_ratio[\s\S]*throughput_ratio[\s\S]*cli_ratio/),
  ]);
});
