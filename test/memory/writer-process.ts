// A process that remembers without end, some at a time, and prints the id of each record once it is acknowledged. Its
// standard output is written at once, so that what it prints is out before it can be killed.
import { writeSync } from 'node:fs';
import { openMemory } from '../../src/memory/index.ts';

const [dir = '', round = ''] = process.argv.slice(2);
const memory = await openMemory({ dir, agent: 'alice' });
let next = 0;

async function write(): Promise<never> {
  for (;;) {
    const { id } = await memory.remember({
      as: 'alice',
      content: `kept ${round} ${next++} ${'words '.repeat(20).trim()}`,
    });
    writeSync(1, `${id}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, write));
