// Bundles the command and the library into dist/, each command in a chunk of its own, and writes the library's types.
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
// Loaded seldom, and large: left to node_modules.
const external = ['libsql', 'pacote', 'pino', 'pino-pretty'].filter(name => name in dependencies);
// Ink's door to the developer tools of React, which are not shipped.
const withoutDevtools = {
  name: 'without-devtools',
  setup: ({ onLoad }) => onLoad({ filter: /[\\/]ink[\\/]build[\\/]devtools\.js$/ }, () => ({ contents: '' })),
};

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: ['src/main.ts', 'src/index.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: true,
  external,
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
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], {
  stdio: 'inherit',
});
