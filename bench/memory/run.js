// Runs the memory's benchmark: bundles it with the memory room of src/ into bench/out/, then starts it.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
await build({
  entryPoints: [join(here, 'main.ts')],
  outfile: join(here, '../out/memory.js'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
  packages: 'external',
  sourcemap: true,
});
const { main } = await import(new URL('../out/memory.js', import.meta.url).href);
process.exit(await main(process.argv.slice(2)));
