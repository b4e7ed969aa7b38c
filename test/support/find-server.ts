// Finds the nats-server once for all test files, the way `orch up` does.
import type { TestProject } from 'vitest/node';
import { paths } from '../../src/config/index.ts';
import { findServer } from '../../src/server/index.ts';

export async function setup(project: TestProject): Promise<void> {
  const found = await findServer({
    given: process.env['ORCH_NATS_SERVER'],
    cacheDir: paths().cache,
    path: process.env['PATH'] ?? '',
  });
  console.log(`nats-server ${found.version} (${found.source})`);
  project.provide('natsServer', found.path);
}

declare module 'vitest' {
  export interface ProvidedContext {
    natsServer: string;
  }
}
