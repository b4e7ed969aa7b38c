// `npm run test:examples`: the examples that install programs from other registries.
import { defineConfig } from 'vitest/config';
import { ClosingLine } from '../../support/closing-line.ts';

export default defineConfig({
  define: { __ORCH_VERSION__: JSON.stringify('0.0.0-test') },
  test: {
    include: ['test/examples/installs/*.test.ts'],
    globalSetup: ['test/support/find-server.ts'],
    testTimeout: 60_000,
    // Building the nats command from source takes minutes.
    hookTimeout: 1_200_000,
    maxWorkers: 1,
    reporters: [process.env['CI'] ? 'verbose' : 'default', new ClosingLine()],
  },
});
