// orch as its users have it: the library as it is built, with its defaults.
import type { Hooks, Side, SideOptions } from './side.ts';

export type OrchLibrary = typeof import('../../src/index.ts');

/** A publisher and a worker of orch. The end of an attempt is heard from the worker's own log line. */
export async function openOrch(
  { connect, publishTask, runWorker }: OrchLibrary,
  { url, slots, hooks }: SideOptions,
): Promise<Side> {
  const publisher = await connect({ servers: [url] });
  const workerBus = await connect({ servers: [url] });
  const numbers = new Map<string, number>();
  const worker = await runWorker(workerBus, {
    node: 'bench',
    concurrency: slots,
    handler: ({ id, input }) => {
      const { n } = input as { n: number };
      hooks.started(n);
      numbers.set(id, n);
    },
    logger: endLogger(numbers, hooks),
  });
  return {
    name: 'orch',
    publish: async input => (await publishTask(publisher, { input })).id,
    close: async () => {
      await worker.stop();
      await workerBus.close();
      await publisher.close();
    },
  };
}

function endLogger(numbers: Map<string, number>, hooks: Hooks) {
  const silent = () => {};
  return {
    debug: silent,
    warn: (fields: object, message: string) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
    error: silent,
    info: (fields: object, message: string) => {
      if (message !== 'attempt ended') return;
      const { task } = fields as { task: string };
      const n = numbers.get(task);
      numbers.delete(task);
      if (n !== undefined) hooks.ended(n);
    },
  };
}
