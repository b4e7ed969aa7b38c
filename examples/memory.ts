// The memory of an agent: a node that owns two agents, what one of them remembers, and what the other may read of it.
//
//     node memory.ts        (Node 22.18 or newer runs TypeScript; else `npx tsx memory.ts`)
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'orch';

const { NATS_URL } = process.env;
await using orch = await connect(NATS_URL === undefined ? {} : { servers: [NATS_URL] });

// Each agent has one SQLite file on the machine of its node. A real node keeps it in a folder that stays.
await using node = await orch.runWorker({
  handler: () => undefined,
  agents: [{ id: 'ada', visibility: 'shared' }, { id: 'ben' }],
  memory: { dir: await mkdtemp(join(tmpdir(), 'orch-memory-')) },
});
console.log(`${node.node} owns ada and ben`);

// Only ada writes to her memory. A key makes it one record, which the next write with that key changes.
const ada = orch.memory({ as: 'ada' });
await ada.remember({ content: 'Deploys go out on Tuesdays', key: 'deploys', links: ['api'] });
await ada.remember({ content: 'The api is owned by the platform team', links: ['api'], importance: 0.9 });

// Ben reads what ada shares. Recall ranks by any of the words; search wants all of them.
const toBen = orch.memory({ as: 'ben', agent: 'ada' });
for (const { content } of (await toBen.recall({ query: 'when do deploys go out' })).items)
  console.log(content);
console.log((await toBen.search({ query: '"platform team" -deploys' })).items.length, 'found');

// What is linked to the api, from both records.
console.log((await ada.expand({ entity: 'api' })).items.length, 'linked');

// All memories that ben may read, wherever they are; `missing` names the nodes that did not answer in time.
const all = await orch.recallAll({ as: 'ben', query: 'deploys' }, { deadlineMs: 2_000 });
console.log(all.items.length, 'from', all.nodes, 'nodes', all.missing);

await ada.forget({ key: 'deploys' });
