// Prints where the time of a .cpuprofile went, without a browser: by function, and by function with all that it calls.
//     node --cpu-prof --cpu-prof-dir=bench/out/prof bench/run.js throughput --sync 1s --sides orch --vus 100 --rounds 1 --duration 8s
//     node bench/profile.js bench/out/prof/*.cpuprofile
import { readFileSync } from 'node:fs';

const SHOWN = 25;

// `| head` ends the pipe early, which is no error.
process.stdout.on('error', () => process.exit());

const file = process.argv[2];
const { nodes, samples, timeDeltas } = read();
const byId = new Map(nodes.map(node => [node.id, node]));
const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id])));
const nameOf = ({ callFrame: { functionName, url, lineNumber } }) =>
  `${functionName || '(anonymous)'} ${url.split('/').at(-1)}${url && `:${lineNumber + 1}`}`;

const [own, all] = [new Map(), new Map()];
let [busyUs, totalUs] = [0, 0];
for (const [index, id] of samples.entries()) {
  const us = timeDeltas[index];
  totalUs += us;
  if (byId.get(id).callFrame.functionName === '(idle)') continue;
  busyUs += us;
  add(own, nameOf(byId.get(id)), us);
  const names = new Set();
  for (let node = byId.get(id); node; node = byId.get(parents.get(node.id))) names.add(nameOf(node));
  for (const name of names) add(all, name, us);
}

process.stdout.write(`${file}: busy ${(busyUs / 1e6).toFixed(1)} s of ${(totalUs / 1e6).toFixed(1)} s\n`);
print('by itself', own);
print('with what it calls', all);

function read() {
  try {
    const profile = JSON.parse(readFileSync(file ?? '', 'utf8'));
    if (!Array.isArray(profile.samples)) throw new Error('it has no samples');
    return profile;
  } catch (error) {
    const why = file === undefined ? 'none was given' : `${file}: ${error.message}`;
    process.stderr.write(`a .cpuprofile is needed, ${why}\nusage: node bench/profile.js file.cpuprofile\n`);
    process.exit(104);
  }
}

function add(map, name, us) {
  map.set(name, (map.get(name) ?? 0) + us);
}

function print(title, map) {
  const top = [...map].sort((a, b) => b[1] - a[1]).slice(0, SHOWN);
  const lines = top.map(([name, us]) => `${((100 * us) / busyUs).toFixed(1).padStart(6)} %  ${name}\n`);
  process.stdout.write(`\n${title}\n${lines.join('')}`);
}
