// Says of nodes whose keys have expired that they are lost, once, however many notice.
// Silence is held against a node only as far as this one was heard itself: after an outage of the server nobody was.
import { readBucketEntry } from '../../bus/index.ts';
import { appendNodeEntry, type NodeLine, readNodeEntry } from '../../nodes/index.ts';
import {
  bucketFilter,
  JOURNAL,
  messageOf,
  NODES,
  type NodeRecord,
  nodeEntries,
} from '../../protocol/index.ts';
import type { Chore, ChoreContext } from './janitor.ts';

const ROUND_MAX = 1_000;
/** Less than the margin by which a lease is given up before it expires. */
const WRITE_TIMEOUT_MS = 1_500;

export const lostNodes: Chore = {
  name: 'lost-nodes',
  everyMs: 5_000,
  begin(context, wake) {
    const last = new Map<string, NodeLine>();
    const caughtUp = followEntries(context, last, wake);
    void hearExpiries(context, wake);
    return {
      async round() {
        await caughtUp;
        const present = new Set((await context.bus.buckets.open(NODES).list()).map(({ key }) => key));
        const missing = [...last.values()].filter(line => isMissing(line, present)).slice(0, ROUND_MAX);
        // Whoever may not be judged yet is looked at again as soon as that is over.
        const early = missing.map(({ node }) => silenceAllowedMs(node) - context.healthyForMs());
        const waitMs = Math.min(...early.filter(ms => ms > 0));
        if (Number.isFinite(waitMs)) setTimeout(wake, waitMs).unref();
        let done = 0;
        for (const line of missing) if (await sayLost(context, line)) done++;
        return done;
      },
    };
  },
};

function isMissing({ type, node }: NodeLine, present: ReadonlySet<string>): boolean {
  return type !== 'lost' && type !== 'offline' && !present.has(node.id);
}

async function sayLost({ bus, actor, tenure, healthyForMs, logger }: ChoreContext, line: NodeLine) {
  const { node, seq } = line;
  if (healthyForMs() < silenceAllowedMs(node)) return false;
  // The list came from a replica, which may be behind.
  if ((await bus.buckets.open(NODES).get(node.id)).value !== undefined) return false;
  tenure.check();
  const reason = `silent for longer than ${node.expiryMs / 1_000} s`;
  const change = { type: 'lost', node, reason, lease: tenure.revision } as const;
  const appended = await appendNodeEntry(bus, change, actor, { last: seq, timeoutMs: WRITE_TIMEOUT_MS });
  if (appended.kind === 'conflict') return false;
  logger.warn({ lost: node.id, host: node.host }, 'node lost');
  return true;
}

const silenceAllowedMs = ({ expiryMs, heartbeatMs }: NodeRecord): number => expiryMs + heartbeatMs;

// All that was ever said of nodes, then what is said from now on; returns when the first is read.
function followEntries({ bus, tenure, logger }: ChoreContext, last: Map<string, NodeLine>, wake: () => void) {
  return new Promise<void>(resolve => {
    void (async () => {
      let seq = 0;
      try {
        for await (const stored of bus.streams.range(JOURNAL, {
          filter: nodeEntries,
          signal: tenure.signal,
        })) {
          seq = stored.seq;
          keep(last, readNodeEntry(stored));
        }
      } catch (error) {
        logger.warn({ error: messageOf(error) }, 'cannot read what was said of nodes');
      }
      resolve();
      const start = { seq: seq + 1 };
      for await (const stored of bus.streams.tail(JOURNAL, {
        filter: nodeEntries,
        start,
        signal: tenure.signal,
      })) {
        keep(last, readNodeEntry(stored));
        wake();
      }
    })();
  });
}

function keep(last: Map<string, NodeLine>, line: NodeLine | undefined): void {
  if (line) last.set(line.node.id, line);
}

async function hearExpiries({ bus, tenure }: ChoreContext, wake: () => void): Promise<void> {
  const options = { filter: bucketFilter(NODES), start: 'new', signal: tenure.signal } as const;
  for await (const stored of bus.streams.tail(NODES, options)) if (!readBucketEntry(stored).value) wake();
}
