// Programs that a test needs and that npm does not bring.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program is on PATH; undefined when it is not there. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return folders.map(folder => join(folder, name)).find(isExecutable);
}

/**
 * Whether the tests that need a program can run. Without it they are skipped, with a line that names it; where CI is
 * set they run all the same and fail.
 */
export function hasProgram(name: string): boolean {
  if (findProgram(name) !== undefined || process.env['CI']) return true;
  console.warn(`\nSKIPPED: ${name} is not on PATH; tests that need it did not run\n`);
  return false;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
