// `npm run test:package`: the package as users install it, and memories with their second driver.
import { defineConfig } from 'vitest/config';
import { ClosingLine } from '../support/closing-line.ts';

export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    globalSetup: ['test/support/find-server.ts'],
    // A download of Node, and all tests of the memory under it.
    testTimeout: 900_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    reporters: [process.env['CI'] ? 'verbose' : 'default', new ClosingLine()],
  },
});
