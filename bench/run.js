// Runs the benchmark: bundles bench/ with what it shares with src/ into bench/out/, then hands it the built library.
// Only the library in dist/ is measured; the bundle holds the load, the bare side and the server's start.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import * as orch from 'orch';

const here = dirname(fileURLToPath(import.meta.url));
const shared = {
  outdir: join(here, 'out'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
};

await build({ ...shared, entryPoints: [join(here, 'main.ts')], packages: 'external', sourcemap: true });
// Bundled like dist/main.js, so that the cli scenario compares what the programs do and not how they are packed.
await build({
  ...shared,
  entryPoints: [join(here, 'processes/publish-once.ts')],
  minifySyntax: true,
  banner: {
    js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);",
  },
});

// Each beside its packages, which bench/peers installs; one that is not installed is reported as absent.
await build({
  ...shared,
  outdir: join(here, 'peers/out'),
  entryPoints: ['bullmq', 'graphile', 'pg-boss'].map(name => join(here, 'peers', `${name}.ts`)),
  packages: 'external',
});

const { main } = await import(new URL('out/main.js', import.meta.url).href);
// After an interruption connections may still be open.
process.exit(await main(process.argv.slice(2), orch));
