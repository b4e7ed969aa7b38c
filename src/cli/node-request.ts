// What drain, pause and resume share: a request to one node, and its answer.
import { askNode } from '../nodes/index.ts';
import { type NodeVerb, parseId } from '../protocol/index.ts';
import { connectionArgs, jsonArg, withBus } from './connection.ts';
import { printJson, printLine } from './print.ts';

export const nodeRequestArgs = {
  node: { type: 'positional', required: true, description: 'node id' },
  ...jsonArg,
  ...connectionArgs,
} as const;

type Flags = { node: string; json?: boolean | undefined } & Parameters<typeof withBus>[0];

/** Sends a request to a node and prints its state. Throws `not_found` with the nearest name, or `unavailable`. */
export async function requestNode(
  verb: NodeVerb,
  flags: Flags,
  body: Record<string, unknown> = {},
): Promise<void> {
  const id = parseId(flags.node, 'node');
  const reply = await withBus(flags, bus => askNode(bus, id, verb, body));
  if (flags.json) printJson(reply);
  else printLine(`node ${id} is ${reply.state}, ${reply.running} running`);
}
