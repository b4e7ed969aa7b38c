// What the documents name exists: files, links, npm scripts, commands of orch, titles of tests, floors of rooms.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

/** All but the changelog: what it names may be gone. */
const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'examples/README.md'];

/** A path from the root of the project; it ends before what stands for something else, such as `<noun>` or `*`. */
const PATH = /(?<![\w./@-])((?:src|test|bench|demo|examples|docs|api|\.ci)\/[\w./-]*)([<*{]?)/g;
/** A document in the root, by its name alone. */
const ROOT_FILE = /`([\w.-]+\.md|\.[a-z]+rc|\.ci\/run)`/g;
/** Written by a command; not in the repository. */
const MADE = /^bench\/(peers\/)?out\//;

const read = (file: string): string => readFileSync(file, 'utf8');
const { scripts, engines } = JSON.parse(read('package.json'));

describe.each(DOCUMENTS)('%s', document => {
  const text = read(document);

  test('links to files that exist', () => {
    const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) => target);
    expect(targets.filter(target => !existsSync(join(dirname(document), target)))).toEqual([]);
  });

  test('names files that exist', () => {
    const paths = [...text.matchAll(PATH)]
      .map(([, path = '', rest]) => (rest ? dirname(`${path}x`) : path.replace(/\.$/, '')))
      .filter(path => !MADE.test(path));
    const files = [...text.matchAll(ROOT_FILE)].map(([, file = '']) => file);
    expect([...paths, ...files].filter(path => !existsSync(path))).toEqual([]);
  });

  test('names scripts of package.json', () => {
    const names = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
    expect(names.filter(name => !(name in scripts))).toEqual([]);
  });

  test('quotes titles of tests as they are', () => {
    const quoted = [...text.matchAll(/`(test\/[\w./-]+\.test\.ts)`: "([^"]+)"/g)];
    const missing = quoted.filter(([, file = '', title = '']) => !read(file).includes(title));
    expect(missing.map(([, file, title]) => `${file}: ${title}`)).toEqual([]);
  });
});

describe('commands', () => {
  const overview = execFileSync(process.execPath, ['dist/main.js', '--help'], { encoding: 'utf8' });
  const commands = [...overview.matchAll(/^ {2}([a-z-]+) {2,}/gm)]
    .map(([, name = '']) => name)
    .filter(name => name !== 'orch');

  test.each(DOCUMENTS)('%s names none that orch does not have', document => {
    expect(commandsIn(read(document)).filter(name => !commands.includes(name))).toEqual([]);
  });

  test('the README lists all', () => {
    const section = read('README.md').match(/## Commands\n([\s\S]*?)\n## /)?.[1] ?? '';
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter(name => !new RegExp(`\`${name}[ \`]`).test(section))).toEqual([]);
  });
});

test('ARCHITECTURE.md has the floors of the house, in their order', () => {
  const house = [...read('test/house.test.ts').matchAll(/^ {2}\[('[^\]]+')\],$/gm)].map(([, rooms = '']) =>
    [...rooms.matchAll(/'([^']+)'/g)].map(([, room = '']) => `src/${room}`).filter(room => existsSync(room)),
  );
  expect(house.length).toBeGreaterThan(10);
  const rows = read('ARCHITECTURE.md').match(/^\| `src\/.*/gm) ?? [];
  const page = rows.map(row =>
    [...(row.split('|')[1] ?? '').matchAll(/`(src\/[^`]+?)\/?`/g)].map(([, room = '']) => room),
  );
  expect(page).toEqual(house.filter(rooms => rooms.length > 0));
});

test('.nvmrc is the lowest Node that package.json allows', () => {
  expect(engines.node).toBe(`>=${read('.nvmrc').trim()}.0`);
});

/** The first word after `orch` in code: in backticks, or at the beginning of a line or of a command in a shell block. */
function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const inline = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  return [...blocks, ...inline].flatMap(code =>
    [...code.matchAll(/(?:^|&& |\| )orch ([a-z][a-z-]*)/gm)].map(([, name = '']) => name),
  );
}
