// Runs the benchmark as a process of its own.
import { spawn } from 'node:child_process';
import { inject } from 'vitest';

export interface Finished {
  code: number | null;
  /** Of stdout and stderr. */
  shown: string;
}

export function runBench(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const env = { ...process.env, ORCH_NATS_SERVER: inject('natsServer'), ...environment };
  const child = spawn(process.execPath, ['bench/run.js', ...words], { env });
  let shown = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', text => {
      shown += text;
    });
  return new Promise(settle => child.once('close', code => settle({ code, shown })));
}
