// The house: imports point downwards only, never sideways between siblings, and a room is entered by its door. It is
// read from the import statements themselves, types included.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findCycle, type Import, importsOf, sourcesIn } from './support/imports.ts';

/** The rooms of src, lowest floor first. Rooms on one floor are siblings and never import each other. */
const FLOORS: readonly (readonly string[])[] = [
  ['protocol'],
  ['process'],
  ['bus', 'server'],
  ['config'],
  ['journal', 'leases'],
  ['tasks', 'nodes', 'agents', 'memory'],
  ['cluster'],
  ['operations'],
  ['daemon/service'],
  ['daemon/worker', 'daemon/chores', 'daemon/memories'],
  ['daemon'],
  ['cli', 'library'],
  ['cli/top'],
  ['cli/commands'],
  ['index.ts', 'main.ts'],
];
/** The parts of the benchmark, lowest floor first. */
const BENCH_FLOORS: readonly string[] = [
  'settings.ts',
  'sides/',
  'harness/',
  'memory/',
  'processes/',
  'scenarios/',
  'aims.ts',
  'summary.ts',
  'page/',
  'command-line.ts',
  'main.ts',
];
/** Rooms without a door: their files are shared, or loaded one by one. */
const OPEN = new Set(['cli', 'cli/commands']);
/** Read before anything else is loaded, by the process's first lines. */
const ENVIRONMENT = 'src/config/env.ts';

const ROOMS = FLOORS.flat();
const floorOf = (room: string): number => FLOORS.findIndex(rooms => rooms.includes(room));
const roomOf = (file: string): string | undefined =>
  ROOMS.filter(room => file === `src/${room}` || file.startsWith(`src/${room}/`)).sort(
    (a, b) => b.length - a.length,
  )[0];

const sources = sourcesIn('src');
const imports = sources.flatMap(importsOf);
const between = imports.filter(
  ({ file, target, isRelative }) => isRelative && roomOf(file) !== roomOf(target),
);
const shown = ({ file, target }: Import): string => `${file} imports ${target}`;

describe('src', () => {
  test('has a floor for each of its files', () => {
    expect(sources.filter(file => roomOf(file) === undefined)).toEqual([]);
    expect(sources.length).toBeGreaterThan(100);
    expect(imports.length).toBeGreaterThan(sources.length);
  });

  test('imports downwards only', () => {
    const wrong = between.filter(
      ({ file, target }) => floorOf(roomOf(target) ?? '') >= floorOf(roomOf(file) ?? ''),
    );
    expect(wrong.map(shown)).toEqual([]);
  });

  test('enters a room by its door', () => {
    const wrong = between.filter(({ target }) => {
      const room = roomOf(target) ?? '';
      return !OPEN.has(room) && target !== `src/${room}/index.ts` && target !== ENVIRONMENT;
    });
    expect(wrong.map(shown)).toEqual([]);
  });

  test('has no cycle of imports, types included', () => {
    expect(findCycle(sources)).toBeUndefined();
  });

  test('talks to NATS in one room', () => {
    const wrong = imports.filter(
      ({ file, target }) => target.startsWith('@nats-io/') && roomOf(file) !== 'bus',
    );
    expect(wrong.map(shown)).toEqual([]);
  });

  test('reads the environment in one file', () => {
    const readers = sources.filter(file => codeOf(file).includes('process.env'));
    expect(readers).toEqual([ENVIRONMENT]);
  });

  test('spells subjects in the protocol alone', () => {
    const spelled = sources
      .filter(file => file !== 'src/protocol/subjects.ts' && file !== 'src/protocol/jetstream.ts')
      .flatMap(file =>
        codeOf(file)
          .split('\n')
          .filter(line => SUBJECT.test(line) && !TEXT.test(line))
          .map(line => `${file}: ${line.trim()}`),
      );
    expect(spelled).toEqual([]);
  });
});

describe('bench', () => {
  const files = sourcesIn('bench').filter(file => !file.startsWith('bench/peers/'));
  const floor = (file: string) => BENCH_FLOORS.findIndex(part => file.startsWith(`bench/${part}`));

  test('has a floor for each of its files', () => {
    expect(files.filter(file => floor(file) < 0)).toEqual([]);
    expect(files.length).toBeGreaterThan(40);
  });

  test('imports downwards only', () => {
    const wrong = files
      .flatMap(importsOf)
      .filter(({ file, target }) => target.startsWith('bench/') && floor(target) > floor(file));
    expect(wrong.map(shown)).toEqual([]);
  });

  test('has no cycle of imports, types included', () => {
    expect(findCycle(files)).toBeUndefined();
  });
});

describe('the reading of imports', () => {
  test('finds static, exported, type-only and dynamic ones', () => {
    const targets = importsOf('src/index.ts').map(({ target }) => target);
    expect(targets).toContain('src/protocol/index.ts');
    expect(importsOf('src/main.ts').map(({ target }) => target)).toContain('src/cli/commands/up.ts');
    expect(importsOf('src/cli/command.ts').map(({ target }) => target)).toContain('citty');
  });
});

/** A literal that begins like a subject of orch, of a bucket or of JetStream. */
const SUBJECT = /(['"`])(?:tasks|journal|events|output|agents?|nodes?|dead|\$KV|\$JS)\.[^\s'"`]*\1?/;
/** Prose: the description of a schema, and the lines that help texts suggest to type. */
const TEXT = /\.describe\(|The (?:payload|reply) on `|What a node answers on `|nats sub '/;

function codeOf(file: string): string {
  return readFileSync(file, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '$1');
}
