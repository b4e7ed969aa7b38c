// The examples of the project: those of its documents, of its comments, and the programs in examples/. Each is compiled
// as a strict user would, and run in a process of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from 'esbuild';

export interface Example {
  /** Where it stands, such as `README.md, example 2`. */
  name: string;
  text: string;
}

/** The server that examples connect to. */
const SERVER = 'nats://127.0.0.1:4222';

/** All examples, in the order of where they stand. */
export function allExamples(): Example[] {
  const sources = readdirSync('src/library').map(file => `src/library/${file}`);
  return [
    ...numbered('README.md', fenced(readFileSync('README.md', 'utf8'))),
    ...numbered('src/index.ts', indented(readFileSync('src/index.ts', 'utf8'))),
    ...sources.flatMap(file => numbered(file, inComments(readFileSync(file, 'utf8')))),
    ...readdirSync('examples')
      .filter(file => file.endsWith('.ts'))
      .map(file => ({ name: `examples/${file}`, text: readFileSync(`examples/${file}`, 'utf8') })),
  ];
}

const numbered = (file: string, texts: string[]): Example[] =>
  texts.map((text, index) => ({ name: `${file}, example ${index + 1}`, text }));

const fenced = (text: string): string[] =>
  [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);

/** The indented lines of the comment at the head of a file. */
function indented(text: string): string[] {
  const head = text.slice(0, text.search(/^(?!\/\/)/m));
  const lines = head.split('\n').filter(line => line === '//' || line.startsWith('//     '));
  return [lines.map(line => line.slice(7)).join('\n')];
}

const inComments = (text: string): string[] =>
  [...text.matchAll(/@example\s*\n([\s\S]*?)\*\//g)].flatMap(([, comment = '']) =>
    fenced(comment.replace(/^\s*\* ?/gm, '')),
  );

/** What a strict user sets, and nothing that hides an error in the types of the package. */
const STRICT = {
  target: 'ES2023',
  lib: ['ES2023', 'ESNext.Disposable'],
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  verbatimModuleSyntax: true,
  noUnusedLocals: true,
  skipLibCheck: false,
  noEmit: true,
};

export const RESOLUTIONS = {
  nodenext: { module: 'NodeNext', moduleResolution: 'NodeNext' },
  bundler: { module: 'ESNext', moduleResolution: 'Bundler' },
} as const;

/**
 * Compiles modules in a project that has orch as it is packed, zod and the types of Node, and nothing else: what the
 * types of the package need beyond that is an error. Returns the compiler's messages, empty where it found nothing.
 */
export async function compile(
  modules: readonly Example[],
  resolution: keyof typeof RESOLUTIONS,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'orch-user-'));
  try {
    const packages = join(folder, 'node_modules');
    mkdirSync(join(packages, 'orch/dist'), { recursive: true });
    for (const file of ['package.json', 'dist/index.d.ts', 'dist/protocol.d.ts'])
      copyFileSync(file, join(packages, 'orch', file));
    for (const name of ['zod', '@types/node']) {
      mkdirSync(dirname(join(packages, name)), { recursive: true });
      symlinkSync(resolve('node_modules', name), join(packages, name));
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...STRICT, ...RESOLUTIONS[resolution] } }),
    );
    for (const { name, text } of modules) writeFileSync(join(folder, `${fileOf(name)}.ts`), text);
    return await new Promise(settle => {
      const tsc = resolve('node_modules/typescript/bin/tsc');
      execFile(process.execPath, [tsc, '-p', folder], (error, stdout, stderr) =>
        settle(error === null ? '' : `${stdout}${stderr}`),
      );
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const fileOf = (name: string): string => name.replace(/[^a-z0-9]+/gi, '-');

export interface RunningExample {
  /** What it printed so far. */
  readonly stdout: string;
  kill(signal: NodeJS.Signals): void;
  readonly finished: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Runs an example against a server and the built package, in a process of its own. */
export function start({ name, text }: Example, url: string): RunningExample {
  // Within the package, whose own name leads to its built files.
  const folder = mkdtempSync(resolve('dist/.example-'));
  const file = join(folder, `${fileOf(name)}.mjs`);
  const code = text.replaceAll(SERVER, url);
  writeFileSync(file, transformSync(code, { loader: 'ts', target: 'node20.19', format: 'esm' }).code);
  const child: ChildProcess = spawn(process.execPath, [file], {
    cwd: folder,
    env: { PATH: process.env['PATH'], NATS_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 50_000,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', chunk => {
    stdout += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', chunk => {
    stderr += chunk;
  });
  return {
    get stdout() {
      return stdout;
    },
    kill: signal => child.kill(signal),
    finished: new Promise(settle =>
      child.once('close', exitCode => {
        rmSync(folder, { recursive: true, force: true });
        settle({ code: exitCode, stdout, stderr });
      }),
    ),
  };
}
