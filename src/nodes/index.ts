// Nodes: who is there, who left, and who was lost.
export {
  appendNodeEntry,
  followNodeEntries,
  lastNodeEntry,
  type NodeLine,
  readNodeEntry,
  recentNodeEntries,
} from './journal.ts';
export { Presence, type PresenceOptions, readNodeReply } from './presence.ts';
export {
  askNode,
  lookAtNode,
  lookAtNodes,
  type NodePresence,
  type NodeView,
  readNodes,
  unknown,
} from './roster.ts';
