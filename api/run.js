// The public face of the package, in files that a review sees: the interfaces that are made from the schemas, the API
// report of each entry, and the reference of the library. `npm run api` fails where one is not what the code makes of
// it; `npm run api -- --accept [file...]` writes them, so that the change stands in the commit that made it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { renderReference } from './reference.js';
import { renderShapes } from './shapes.js';

const [flag, ...only] = process.argv.slice(2);
const isAccepting = flag === '--accept';
if (flag !== undefined && !isAccepting) {
  console.error(`${flag} is not allowed: use --accept [file...], or nothing`);
  process.exit(2);
}

const stale = [];
settle('src/library/shapes.ts', await renderShapes());
// The types are made from the shapes as they are now.
const { extractTypes } = await import('./extract.js');
const { index, protocol } = extractTypes();
settle('api/orch.api.md', index.report);
settle('api/orch-protocol.api.md', protocol.report);
settle('docs/library.md', renderReference(index.model));
if (stale.length > 0) {
  console.error(
    `${stale.join(', ')}: not what the code makes of it; if that is intended: npm run api -- --accept`,
  );
  process.exit(1);
}

function settle(path, text) {
  const current = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (current === text) return;
  if (isAccepting && (only.length === 0 || only.includes(path))) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`${path} written`);
  } else {
    stale.push(path);
    console.error(firstDifference(path, current, text));
  }
}

function firstDifference(path, current, text) {
  const [before, after] = [current.split('\n'), text.split('\n')];
  const at = after.findIndex((line, i) => line !== before[i]);
  const line = at < 0 ? after.length : at;
  return `${path}:${line + 1}\n- ${before[line] ?? ''}\n+ ${after[line] ?? ''}`;
}
