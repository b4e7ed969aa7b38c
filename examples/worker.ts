// A worker in TypeScript: runs the tasks that need `thumbnails` in this process, until Ctrl-C drains it.
//
//     node worker.ts        (Node 22.18 or newer runs TypeScript; else `npx tsx worker.ts`)
//     orch publish-task --caps thumbnails --input '{"picture":"cat.png","widths":[64,256]}' --wait
import { connect, TryLater } from 'orch';

interface Job {
  picture: string;
  widths: number[];
}

// NATS_URL names the server; the default is the one on this machine. `patient` waits for it to be there.
const { NATS_URL } = process.env;
const orch = await connect({ ...(NATS_URL === undefined ? {} : { servers: [NATS_URL] }), patient: true });

const worker = await orch.runWorker({
  capabilities: ['thumbnails'],
  concurrency: 4,
  // What it returns is the task's result; what it throws fails the attempt, which is tried again up to `maxAttempts`.
  handler: async (task, { signal, log, progress }) => {
    const { picture, widths } = task.input as Job;
    log(`attempt ${task.attempt} at ${picture}`);
    // Gives the task back unharmed: it is tried again later, and this does not count as an attempt.
    if (widths.length === 0) throw new TryLater('no widths yet');
    const made: string[] = [];
    for (const width of widths) {
      // Aborted when the task is cancelled, takes too long, or this worker lost its lease.
      signal.throwIfAborted();
      made.push(`${picture}@${width}`);
      progress(`${made.length} of ${widths.length}`);
    }
    return { made };
  },
});
console.log(`${worker.node} is ready`);

// Drain: no new tasks, and the running ones have 30 seconds to finish before they go to another worker.
process.once('SIGINT', stop).once('SIGTERM', stop);
async function stop(): Promise<void> {
  await worker.stop();
  await orch.close();
}
