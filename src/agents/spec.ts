// What a node is told about the agents that it is to own: `alice,bob:shared,carol:group=ops`.
import { AGENTS_PER_NODE_MAX, OrchError, parseId, quoted, type Visibility } from '../protocol/index.ts';

export interface AgentSpec {
  id: string;
  visibility: Visibility;
  group?: string;
}

/** Reads a list of agents. Throws `usage`. */
export function parseAgents(text: string | readonly string[]): AgentSpec[] {
  const parts = typeof text === 'string' ? text.split(',') : text;
  const specs = parts
    .map(part => part.trim())
    .filter(part => part !== '')
    .map(parseAgent);
  const repeated = specs.find(({ id }, i) => specs.findIndex(other => other.id === id) !== i);
  if (repeated) throw new OrchError('usage', `agent ${quoted(repeated.id)} is given twice`);
  if (specs.length > AGENTS_PER_NODE_MAX) {
    throw new OrchError('usage', `${specs.length} agents given, at most ${AGENTS_PER_NODE_MAX} are allowed`);
  }
  return specs;
}

function parseAgent(text: string): AgentSpec {
  const [name = '', how = 'isolated', ...rest] = text.split(':');
  const id = parseId(name, 'agent');
  const [word, group, ...more] = how.split('=');
  if (rest.length === 0 && more.length === 0) {
    if (word === 'group' && group) return { id, visibility: 'group', group: parseId(group, 'group') };
    if ((word === 'isolated' || word === 'shared') && group === undefined) return { id, visibility: word };
  }
  throw new OrchError(
    'usage',
    `agent ${quoted(text)} is not allowed: use name, name:isolated, name:shared or name:group=ops`,
  );
}
