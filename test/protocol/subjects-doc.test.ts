// subjects.md says in prose what src/protocol says as data. Its marked sections are rendered from the code and compared;
// `UPDATE_DOCS=1 npx vitest run test/protocol/subjects-doc.test.ts` writes them anew. The last column of some tables is
// prose that stays as it is in the document, and must not be empty.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isId, parseCapability } from '../../src/protocol/index.ts';
import * as subjects from '../../src/protocol/subjects.ts';
import { allInputs, CASES, inputsOf } from './decisions.ts';
import { code, MarkedDocument, tableRows } from './document.ts';
import { SECTIONS, TABLES_WITH_PROSE } from './sections.ts';

const document = new MarkedDocument(new URL('../../subjects.md', import.meta.url));
if (process.env['UPDATE_DOCS']) document.update(SECTIONS);

describe('subjects.md', () => {
  test('has every section once and no section that nothing renders', () => {
    expect(
      document
        .sections()
        .map(section => section.name)
        .sort(),
    ).toEqual(Object.keys(SECTIONS).sort());
  });

  test.each(Object.keys(SECTIONS))('says what the code says in section "%s"', name => {
    const current = document.body(name);
    expect(current).toBe(SECTIONS[name]?.(current));
  });

  test.each(TABLES_WITH_PROSE)('gives a reason in each row of "%s"', name => {
    const unexplained = tableRows(document.body(name)).filter(cells => (cells.at(-1) ?? '').length < 8);
    expect(unexplained.map(cells => cells[0])).toEqual([]);
  });

  test('names every subject builder', () => {
    const builders = Object.keys(subjects).filter(name => !name.startsWith('parse'));
    expect(builders.filter(name => !document.body('table subjects').includes(code(name)))).toEqual([]);
  });

  test('names no bound that the code does not have', () => {
    const named = [...document.text.matchAll(/`[^`]*?\b([A-Z]+_[A-Z_]*(?:MAX|MIN|DEFAULT|DAYS))\b[^`]*`/g)];
    const known = tableRows(document.body('table bounds')).map(cells => cells[0]);
    expect(named.map(([, name = '']) => code(name)).filter(name => !known.includes(name))).toEqual([]);
  });

  test('states the patterns of ids and capabilities by which the code accepts them', () => {
    const pattern = (what: string) =>
      new RegExp(`^(?:${document.text.match(`\\*\\*${what}\\*\\*[^\`]*match \`([^\`]+)\``)?.[1]})$`);
    const isCapability = (text: string) => {
      try {
        return parseCapability(text) === text;
      } catch {
        return false;
      }
    };
    const text = fc.string({ unit: fc.constantFrom(...'aZ0_-=.+* é'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text, given => {
        expect(pattern('Ids').test(given)).toBe(isId(given));
        expect(pattern('Capabilities').test(given)).toBe(isCapability(given));
      }),
      { numRuns: 2_000 },
    );
  });

  test('has JSON examples that are JSON', () => {
    const blocks = [...document.text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, block = '']) => block);
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(() => JSON.parse(block)).not.toThrow();
  });

  test('has links within the page that lead to a heading', () => {
    const headings = [...document.text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    );
    const targets = [...document.text.matchAll(/\]\(#([^)]+)\)/g)].map(([, target = '']) => target);
    expect(targets.filter(target => !headings.includes(target))).toEqual([]);
  });

  test('covers every combination of claim with exactly one case', () => {
    const covered = CASES.flatMap(inputsOf).map(input => JSON.stringify(input));
    expect(covered.sort()).toEqual(
      allInputs()
        .map(input => JSON.stringify(input))
        .sort(),
    );
  });
});
