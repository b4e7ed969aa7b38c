// What a key in `orch-agents` holds.
import { AgentRecord, tryDecode } from '../protocol/index.ts';

/** Reads the value of a key in `orch-agents`; undefined when there is none, or it is not an agent. */
export function readAgentRecord(value: Uint8Array | undefined): AgentRecord | undefined {
  return AgentRecord.safeParse(value && tryDecode(value)).data;
}
