// The last line of a run of tests, for people and for .ci/run: `655 passed, 0 failed, 3 skipped in 412.0 s`.
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** A reporter that prints the line. Stands last in the list of reporters. */
export class ClosingLine implements Reporter {
  readonly #beganAt = performance.now();

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap(({ children }) => [...children.allTests()]);
    const count = (state: string) => tests.filter(test => test.result().state === state).length;
    // A file that cannot be loaded and a set-up that fails have no test of their own.
    const errors = modules.flatMap(module => [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap(suite => suite.errors()),
    ]);
    const failed = count('failed') + errors.length + unhandled.length;
    const seconds = ((performance.now() - this.#beganAt) / 1_000).toFixed(1);
    process.stdout.write(
      `${count('passed')} passed, ${failed} failed, ${count('skipped')} skipped in ${seconds} s\n`,
    );
  }
}
