// `npm run test:containers`.
import { defineConfig } from 'vitest/config';
import { ClosingLine } from '../support/closing-line.ts';

export default defineConfig({
  test: {
    include: ['test/tasks/life.test.ts', 'test/containers/*.test.ts'],
    setupFiles: ['test/containers/setup.ts'],
    testTimeout: 60_000,
    // A first run pulls the image.
    hookTimeout: 180_000,
    // A cluster's elections want the machine for themselves.
    fileParallelism: false,
    reporters: [process.env['CI'] ? 'verbose' : 'default', new ClosingLine()],
  },
});
