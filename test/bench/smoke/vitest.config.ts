// `npm run bench:smoke`: each scenario of the benchmark once and short, on real servers. Its figures mean nothing, and none
// of its checks depends on how fast the machine is.
import { defineConfig } from 'vitest/config';
import { ClosingLine } from '../../support/closing-line.ts';

export default defineConfig({
  test: {
    include: ['test/bench/smoke/*.test.ts'],
    globalSetup: ['test/support/find-server.ts'],
    testTimeout: 300_000,
    hookTimeout: 900_000,
    // Each run writes the same bundle.
    fileParallelism: false,
    reporters: [process.env['CI'] ? 'verbose' : 'default', new ClosingLine()],
  },
});
