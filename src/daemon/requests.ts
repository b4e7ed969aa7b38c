// The requests that a node answers as a NATS micro service: whether it is there, and to drain, pause or resume.
import { hostname } from 'node:os';
import type { Bus, Service } from '../bus/index.ts';
import {
  DrainRequest,
  NODE_VERBS,
  type NodeReply,
  type NodeState,
  type NodeVerb,
  nodeRequestSubject,
  type ProtocolRange,
  parseAs,
  pingAllSubject,
} from '../protocol/index.ts';

/** The name of the micro service that every node is. */
const SERVICE_NAME = 'orch-node';

/** A node, as the requests need it. */
interface RequestedNode {
  readonly node: string;
  readonly incarnation: string;
  readonly protocol: ProtocolRange;
  readonly state: NodeState;
  readonly running: number;
  drain(timeoutMs?: number): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** Starts the node's micro service; services add their own requests to it. */
export async function serveRequests(bus: Bus, node: RequestedNode): Promise<Service> {
  const service = await bus.requests.service({
    name: SERVICE_NAME,
    version: __ORCH_VERSION__,
    description: 'a node of orch: runs tasks, owns agents',
    metadata: { node: node.node, incarnation: node.incarnation, host: hostname() },
    protocol: node.protocol,
  });
  const verbs: Record<NodeVerb, (body: unknown) => Promise<void> | void> = {
    ping: () => {},
    drain: body => node.drain(parseAs(DrainRequest, body ?? {}, 'drain').timeoutMs),
    pause: () => node.pause(),
    resume: () => node.resume(),
  };
  for (const verb of NODE_VERBS) {
    service.serve(verb, nodeRequestSubject(node.node, verb), async ({ body }) => {
      await verbs[verb](body);
      return replyOf(node);
    });
  }
  service.serve('ping-all', pingAllSubject, () => replyOf(node));
  return service;
}

function replyOf({ node, incarnation, state, running, protocol }: RequestedNode): NodeReply {
  return {
    node,
    incarnation,
    at: new Date().toISOString(),
    state,
    running,
    protocol: { ...protocol },
    host: hostname(),
    pid: process.pid,
  };
}
