// What is in the bundle, by its own comments, against the licences that are shipped with it.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Licences that allow what orch does: shipping the code with its notice, under Apache-2.0. */
const ALLOWED = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Unlicense'];
/** Packages without a licence file of their own. */
const WITHOUT_FILE = ['yoga-layout'];

const DIST = resolve('dist');
const shipped = readFileSync(join(DIST, 'THIRD_PARTY_LICENSES.txt'), 'utf8');

/** The folders of the packages that the bundle has code of: the bundler names each file above its code. */
function bundledFolders(): string[] {
  const bundles = readdirSync(DIST).filter(file => file.endsWith('.js'));
  const folders = bundles.flatMap(bundle => {
    const text = readFileSync(join(DIST, bundle), 'utf8');
    return [...text.matchAll(/^\s*\/\/ (node_modules\/\S+)$/gm)].map(
      ([, file = '']) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? '',
    );
  });
  return [...new Set(folders)].sort();
}

interface Package {
  name: string;
  version: string;
  license: string;
}

const packages = bundledFolders().map((folder): [Package, string] => [
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package,
  folder,
]);

describe('the bundle', () => {
  test('has code of packages', () => {
    expect(packages.map(([{ name }]) => name)).toEqual(
      expect.arrayContaining(['@nats-io/nats-core', 'ink', 'pino', 'prom-client', 'zod']),
    );
  });

  test.each(packages)('may contain $name, and ships its licence', ({ name, version, license }, folder) => {
    expect(ALLOWED).toContain(license);
    expect(shipped).toContain(`\n${name} ${version} (${license})\n`);
    const files = readdirSync(folder).filter(file => /^(licen[cs]e|notice)/i.test(file));
    expect(files.length > 0 || WITHOUT_FILE.includes(name)).toBe(true);
    for (const file of files) expect(shipped).toContain(readFileSync(join(folder, file), 'utf8').trim());
  });
});
