// `npm test`. What needs more than a nats-server, or minutes, has a configuration of its own.
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './test/support/closing-line.ts';

export default defineConfig({
  // As in the bundle.
  define: { __ORCH_VERSION__: JSON.stringify('0.0.0-test') },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/containers/**', 'test/bench/smoke/**', 'test/examples/installs/**', 'test/package/**'],
    globalSetup: ['test/support/find-server.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each file has a server of its own; two cores carry two files at a time.
    maxWorkers: 2,
    reporters: [process.env['CI'] ? 'verbose' : 'default', new ClosingLine()],
  },
});
