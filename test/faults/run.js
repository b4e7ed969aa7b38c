// Bundles the fault runner with what it shares with src/ into test/faults/out/, and runs it against the built command.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
await build({
  entryPoints: [join(here, 'main.ts')],
  outdir: join(here, 'out'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
  packages: 'external',
  sourcemap: true,
  define: { __ORCH_VERSION__: JSON.stringify('faults') },
});
const { main } = await import(new URL('out/main.js', import.meta.url).href);
// After an interruption connections may still be open.
process.exit(await main(process.argv.slice(2), here));
