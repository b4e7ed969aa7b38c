// Runs a task of the fault runner in process. Its input is a line of words: kind, seconds of work, attempts that are
// meant to fail, bytes of the result. Before anything else it records that the attempt began.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TryLater } from 'orch';

export async function handler(task, { node, log, signal }) {
  appendFileSync(process.env.FAULTS_RAN, `${task.id} ${task.attempt}\n`);
  const [kind, seconds, failures, bytes] = String(task.input).split(' ');
  log(`${kind} by ${node}`);
  if (task.attempt <= Number(failures)) {
    if (kind === 'later') throw new TryLater('asked for a later try');
    throw new Error('meant to fail');
  }
  if (Number(seconds) > 0) await sleep(1_000 * Number(seconds), undefined, { signal });
  const result = { attempt: task.attempt, node };
  return Number(bytes) > 0 ? { ...result, bulk: 'x'.repeat(Number(bytes)) } : result;
}
