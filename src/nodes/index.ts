// Nodes: presence, journal, and the roster of those that are live, left or were lost.
export {
  appendNodeEntry,
  followNodeEntries,
  lastNodeEntry,
  type NodeLine,
  readNodeEntry,
  recentNodeEntries,
} from './journal.ts';
export { Presence, type PresenceOptions } from './presence.ts';
export {
  askNode,
  lookAtNode,
  lookAtNodes,
  type NodePresence,
  type NodeView,
  readNodes,
} from './roster.ts';
