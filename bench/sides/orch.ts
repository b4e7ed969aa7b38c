// orch as its users have it: the library as it is built, with its defaults. What is not measured (making the streams) and
// what only the command has (`orch events`) goes past the library, to the rooms of src.
import { type BusOptions, openBus } from '../../src/bus/index.ts';
import { eventsFilter, parseEntrySubject } from '../../src/protocol/index.ts';
import { countIds, messagesIn, purge, serveNats } from './nats.ts';
import {
  type Hooks,
  LANE,
  LEASE_MS,
  laneIndex,
  type Publisher,
  type Side,
  serversOf,
  type WorkerOptions,
} from './side.ts';

export type OrchLibrary = typeof import('../../src/index.ts');

const TASKS = 'ORCH_TASKS';
const JOURNAL = 'ORCH_JOURNAL';
const FINAL_TYPES = ['done', 'failed', 'cancelled'];
const FINALS = FINAL_TYPES.map(type => `journal.task.*.${type}.*`);
/** A result that takes longer is lost. */
const RESULT_MS_MAX = 30_000;

export const orchSide = (library: OrchLibrary): Side => ({
  name: 'orch',
  hasLanes: true,
  serve: options =>
    serveNats(options, async (_manager, url) => {
      await provisionOrch({ servers: [url], leaseMs: options.leaseMs ?? LEASE_MS });
    }),
  openPublisher: url => openOrchPublisher(library, url),
  openWorker: (url, options) => openOrchWorker(library, serversOf(url), options),
  openTail: async (url, onEnd) => {
    const bus = await openBus({ servers: serversOf(url) });
    // All events, as `orch events` receives them.
    bus.requests.subscribe(eventsFilter, subject => {
      const { id = '', type = '' } = parseEntrySubject(subject) ?? {};
      if (FINAL_TYPES.includes(type)) onEnd(id);
    });
    // The subscription is in place when the server has answered anything.
    await bus.server.facts();
    return { close: () => bus.close() };
  },
  left: url => messagesIn(url, TASKS),
  finals: url => orchFinals(url),
  clear: url => purge(url, TASKS),
});

/** Makes what orch needs; returns the server's version. */
export async function provisionOrch(options: BusOptions): Promise<string> {
  await using bus = await openBus(options);
  await bus.streams.provision();
  return (await bus.server.facts()).version;
}

/** How often each task has a final entry. */
export const orchFinals = (url: string | string[]) => countIds(url, JOURNAL, FINALS, 2);

async function openOrchPublisher({ connect }: OrchLibrary, url: string): Promise<Publisher> {
  const orch = await connect({ servers: serversOf(url) });
  return {
    publish: async (input, lane = LANE) =>
      (await orch.publishTask({ input, capabilities: capabilitiesOf(lane) })).id,
    roundtrip: async input =>
      (await orch.publishAndWait({ input }, { signal: AbortSignal.timeout(RESULT_MS_MAX) })).id,
    close: () => orch.close(),
  };
}

/** A worker of orch. The end of an attempt is read from the worker's own log line. */
export async function openOrchWorker(
  { connect }: OrchLibrary,
  urls: string[],
  { slots, hooks, lanes, leaseMs = LEASE_MS }: WorkerOptions,
  replicas = 1,
): Promise<{ close(): Promise<void> }> {
  const orch = await connect({ servers: urls, leaseMs, replicas, patient: true });
  const numbers = new Map<string, number>();
  const worker = await orch.runWorker({
    node: `bench-${process.pid}`,
    capabilities: [...new Set(lanes.flatMap(capabilitiesOf))],
    concurrency: slots,
    handler: ({ id, input }) => {
      const { n } = input as { n: number };
      numbers.set(id, n);
      return hooks.started(n);
    },
    logger: endLogger(numbers, hooks),
  });
  return {
    close: async () => {
      await worker.stop();
      await orch.close();
    },
  };
}

// A worker may have 64 capabilities and serve 256 lanes: the lanes of a scenario are one or two of a few.
function capabilitiesOf(lane: string): readonly string[] {
  if (lane === LANE) return [];
  return combinations[laneIndex(lane) - 1] ?? [lane];
}

const CAPABILITIES = Array.from({ length: 24 }, (_, index) => `cap-${index}`);
const combinations = CAPABILITIES.flatMap((one, index) => [
  [one],
  ...CAPABILITIES.slice(index + 1).map(other => [one, other]),
]);

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
