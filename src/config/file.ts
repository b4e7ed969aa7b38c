// The configuration file of a node: its flags as JSON. A flag on the command line overrides the file.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { didYouMean, messageOf, OrchError, quoted } from '../protocol/index.ts';
import { env } from './env.ts';
import { paths } from './paths.ts';

/** The value of one flag: text as on the command line, or a JSON list, object or number. */
type Setting = string | number | boolean | string[] | Record<string, string>;

/**
 * Fills the flags that were not given from a file: `given`, ORCH_CONFIG, or `config.json` in the user's config folder
 * if it exists. `allowed` are the flags that a file can set. Throws `usage`.
 */
export function withConfigFile<T extends Record<string, unknown>>(
  flags: T,
  given: string | undefined,
  allowed: Readonly<Record<string, { type?: string }>>,
): T {
  const usual = join(paths().config, 'config.json');
  const file = given ?? env('ORCH_CONFIG') ?? (existsSync(usual) ? usual : undefined);
  if (file === undefined) return flags;
  const filled: Record<string, unknown> = { ...flags };
  for (const [key, value] of Object.entries(readFile(file))) {
    const flag = allowed[key];
    if (!flag) {
      throw new OrchError('usage', `${file}: ${quoted(key)} is not a setting`, {
        advice: 'use the names of the flags in `orch worker --help`',
        ...didYouMean(key, Object.keys(allowed)),
      });
    }
    if (filled[key] === undefined) filled[key] = asFlag(value, flag.type === 'boolean', `${file}: ${key}`);
  }
  return filled as T;
}

function readFile(file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new OrchError('usage', `configuration ${file} cannot be read: ${messageOf(error)}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new OrchError('usage', `configuration ${file} is not a JSON object`, {
    advice: 'use flags as keys, such as {"caps": ["rust"]}',
  });
}

function asFlag(value: unknown, isSwitch: boolean, where: string): string | boolean {
  const setting = value as Setting;
  if (isSwitch && typeof setting === 'boolean') return setting;
  if (!isSwitch) {
    if (typeof setting === 'string') return setting;
    if (typeof setting === 'number') return String(setting);
    if (Array.isArray(setting) && setting.every(item => typeof item === 'string')) return setting.join(',');
    if (typeof setting === 'object' && setting !== null && !Array.isArray(setting))
      return Object.entries(setting)
        .map(([key, text]) => `${key}=${text}`)
        .join(',');
  }
  const allowed = isSwitch ? 'true or false' : 'a string, a number, a list of strings or an object';
  throw new OrchError('usage', `${where} ${JSON.stringify(value)} is not allowed: use ${allowed}`);
}
