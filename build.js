// Bundles the command, the library and the protocol into dist/, each command in a chunk of its own, and writes the types
// of both entries, which need no package but zod.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { extractTypes } from './api/extract.js';
import { bundledPackages, licensesText } from './licenses.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
// Ink's door to the developer tools of React, which are not shipped.
const withoutDevtools = {
  name: 'without-devtools',
  setup: ({ onLoad }) => onLoad({ filter: /[\\/]ink[\\/]build[\\/]devtools\.js$/ }, () => ({ contents: '' })),
};

rmSync('dist', { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    main: 'src/main.ts',
    index: 'src/index.ts',
    protocol: 'api/protocol.js',
    'sqlite-thread': 'src/memory/database/thread.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: true,
  // Native code, which a machine may not have a build of.
  external: ['libsql'],
  metafile: true,
  minifySyntax: true,
  jsx: 'automatic',
  // React has a build for development too, which would come along.
  define: { __ORCH_VERSION__: JSON.stringify(version), 'process.env.NODE_ENV': '"production"' },
  plugins: [withoutDevtools],
  // The NATS client is CommonJS and requires node's own modules.
  banner: {
    js: "import { createRequire as orchRequire } from 'node:module';const require = orchRequire(import.meta.url);",
  },
});
chmodSync('dist/main.js', 0o755);
for (const [entry, { declarations }] of Object.entries(extractTypes()))
  writeFileSync(`dist/${entry}.d.ts`, declarations);
writeFileSync('dist/THIRD_PARTY_LICENSES.txt', licensesText(bundledPackages(metafile)));
