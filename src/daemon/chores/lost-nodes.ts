// Records nodes whose keys have expired as lost, once each, however many nodes notice.
// Silence counts against a node only while this node's own heartbeats are acknowledged: during an outage of the server
// no node can renew its key.
import { readBucketEntry } from '../../bus/index.ts';
import { appendNodeEntry, followNodeEntries, type NodeLine } from '../../nodes/index.ts';
import { bucketFilter, messageOf, NODES, type NodeRecord, nodeEntries } from '../../protocol/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

const ROUND_MAX = 1_000;
/** Less than the margin by which a lease is given up before it expires. */
const WRITE_TIMEOUT_MS = 1_500;

/** Writes `lost` for each node whose key expired. */
export const lostNodes: Chore = {
  name: 'lost-nodes',
  everyMs: 5_000,
  begin(context, wake) {
    const last = new Map<string, NodeLine>();
    const caughtUp = followEntries(context, last, wake);
    void watchExpiries(context, wake);
    return {
      async round() {
        await caughtUp;
        const present = new Set((await context.bus.buckets.open(NODES).list()).map(({ key }) => key));
        const missing = [...last.values()].filter(line => isMissing(line, present)).slice(0, ROUND_MAX);
        // A node that cannot be judged yet is checked again as soon as it can be.
        const early = missing.map(({ node }) => silenceAllowedMs(node) - context.healthyForMs());
        const waitMs = Math.min(...early.filter(ms => ms > 0));
        if (Number.isFinite(waitMs)) setTimeout(wake, waitMs).unref();
        let done = 0;
        for (const line of missing) if (await recordLost(context, line)) done++;
        return done;
      },
    };
  },
};

function isMissing({ type, node }: NodeLine, present: ReadonlySet<string>): boolean {
  return type !== 'lost' && type !== 'offline' && !present.has(node.id);
}

async function recordLost({ bus, actor, tenure, healthyForMs, logger }: ChoreContext, line: NodeLine) {
  const { node, seq } = line;
  if (healthyForMs() < silenceAllowedMs(node)) return false;
  // The list came from a replica, which may be behind.
  if ((await bus.buckets.open(NODES).get(node.id)).value !== undefined) return false;
  tenure.check();
  const reason = `silent for longer than ${node.expiryMs / 1_000} s`;
  const change = { type: 'lost', node, reason, lease: tenure.revision } as const;
  const appended = await appendNodeEntry(bus, change, actor, { fence: seq, timeoutMs: WRITE_TIMEOUT_MS });
  if (appended.kind === 'conflict') return false;
  logger.warn({ lost: node.id, host: node.host }, 'node lost');
  return true;
}

const silenceAllowedMs = ({ expiryMs, heartbeatMs }: NodeRecord): number => expiryMs + heartbeatMs;

// Keeps the last entry of each node; settles when the stored ones are read, or the tenure is over.
function followEntries(
  { bus, tenure, logger }: ChoreContext,
  last: Map<string, NodeLine>,
  wake: () => void,
): Promise<void> {
  return new Promise(resolve => {
    let isCaughtUp = false;
    void (async () => {
      for await (const line of followNodeEntries(bus, {
        filter: nodeEntries,
        signal: tenure.signal,
        onCaughtUp: () => {
          isCaughtUp = true;
          resolve();
        },
        onError: error => logger.warn({ error: messageOf(error) }, 'cannot read the entries of nodes'),
      })) {
        last.set(line.node.id, line);
        if (isCaughtUp) wake();
      }
      resolve();
    })();
  });
}

async function watchExpiries({ bus, tenure }: ChoreContext, wake: () => void): Promise<void> {
  const options = { filter: bucketFilter(NODES), start: 'new', signal: tenure.signal } as const;
  for await (const stored of bus.streams.tail(NODES, options)) if (!readBucketEntry(stored).value) wake();
}
