// The environment of the process. No other file reads it.

/** A variable's value; undefined when it is absent or empty. */
export function env(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** The whole environment, to pass on to tasks. */
export const environment = (): NodeJS.ProcessEnv => process.env;
