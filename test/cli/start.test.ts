// What every command loads before its own code: it decides how soon a command answers.
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

/** Some 40 kB; a library that slips in brings hundreds. */
const STATIC_BYTES_MAX = 100_000;
const IMPORT = /^(?:import|export)\b[^;()]*?"(\.\/[^"]+)";/gm;

test('a command loads little before its own code', () => {
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(IMPORT))
      load(join(dirname(file), target));
  };
  load('dist/main.js');
  expect(loaded.size).toBeGreaterThan(1);
  const bytes = [...loaded].reduce((sum, file) => sum + statSync(file).size, 0);
  expect(bytes).toBeLessThan(STATIC_BYTES_MAX);
});
