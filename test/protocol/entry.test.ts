// The entry `orch/protocol`, as it is built.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

/** The packages whose code a built file brings along, by the notes that the bundler leaves. */
function packagesIn(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, name = ''] of text.matchAll(/^ *\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm))
    packages.add(name);
  for (const [, target = ''] of text.matchAll(/^ *(?:import|export)\b[^;]*?["'](\.[^"']+)["']/gm))
    for (const name of packagesIn(join(dirname(file), target), seen)) packages.add(name);
  return packages;
}

test('orch/protocol builds and checks what goes over the wire', async () => {
  const url = pathToFileURL(resolve('dist/protocol.js')).href;
  const protocol: typeof import('../../src/protocol/index.ts') = await import(url);
  expect(protocol.taskSubject('high', protocol.laneOf(['rust', 'freebsd']), 't-1')).toBe(
    'tasks.high.freebsd+rust.t-1',
  );
  const message = protocol.TaskMessage.parse({ input: 1 });
  expect(protocol.decode(protocol.encode(message))).toMatchObject({ input: 1, maxAttempts: 3 });
  expect(() => protocol.parseAs(protocol.TaskMessage, { timeoutMs: -1 }, 'task')).toThrow(protocol.OrchError);
  expect(protocol.ERROR_CODES.not_found.exit).toBe(4);
});

test('orch/protocol brings no NATS along', () => {
  expect([...packagesIn(resolve('dist/protocol.js'))].sort()).toEqual(['msgpackr', 'zod']);
  expect([...packagesIn(resolve('dist/index.js'))]).toContain('@nats-io/nats-core');
});
