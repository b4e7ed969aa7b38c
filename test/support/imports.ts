// The import statements of a folder's sources, types and dynamic ones included.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export interface Import {
  /** The importing file, such as `src/bus/bus.ts`. */
  file: string;
  /** What it imports: a file of the project, or a package. */
  target: string;
  isRelative: boolean;
}

/** All TypeScript files below a folder, in the order of their paths. */
export const sourcesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => /\.tsx?$/.test(path) && !/\.d\.ts$|node_modules|\/out\//.test(path))
    .sort();

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s(?:[^;'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]/g;

/** The imports of a file. */
export function importsOf(file: string): Import[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, from, dynamic]) => {
    const specifier = from ?? dynamic ?? '';
    const isRelative = specifier.startsWith('.');
    return { file, target: isRelative ? normalize(join(dirname(file), specifier)) : specifier, isRelative };
  });
}

/** A cycle among files, as the path around it; undefined where there is none. */
export function findCycle(files: readonly string[]): string[] | undefined {
  const imports = new Map(
    files.map(file => [
      file,
      importsOf(file)
        .filter(({ isRelative }) => isRelative)
        .map(({ target }) => target),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of imports.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}
