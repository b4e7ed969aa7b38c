// How a node's agents are given.
import { expect, test } from 'vitest';
import { parseAgents } from '../../src/agents/index.ts';

test.each([
  ['alice:public', 'alice:public'],
  ['alice:group', 'alice:group'],
  ['alice:group=', 'alice:group='],
  ['alice:shared:bob', 'alice:shared:bob'],
  ['al ice', 'al ice'],
  ['alice,alice:shared', 'alice'],
])('agents given as %s are refused', (text, named) => {
  expect(() => parseAgents(text)).toThrow(named);
});
