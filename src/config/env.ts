// The environment of the process; the only file that reads it.

/** A variable's value; undefined when it is absent or empty. */
export function env(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** The whole environment, to hand a task what is not orch's. */
export const environment = (): NodeJS.ProcessEnv => process.env;
