// The configuration file of a node: what its flags say, as JSON. A flag that is given wins over the file.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { didYouMean, messageOf, OrchError, quoted } from '../protocol/index.ts';
import { env } from './env.ts';
import { paths } from './paths.ts';

/** What a file may say of one flag: as on the command line, or in JSON's own words for lists, pairs and numbers. */
type Setting = string | number | boolean | string[] | Record<string, string>;

/**
 * Fills flags that were not given from a file: `given`, ORCH_CONFIG, or `config.json` in the user's config folder if it
 * is there. `allowed` are the flags that a file may set. Throws `usage`.
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
      throw new OrchError(
        'usage',
        `${file}: ${quoted(key)} is not a setting`,
        didYouMean(key, Object.keys(allowed)),
      );
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
  throw new OrchError('usage', `configuration ${file} is not a JSON object`);
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
  const allowed = isSwitch ? 'true or false' : 'a text, a number, a list of texts or an object';
  throw new OrchError('usage', `${where} ${JSON.stringify(value)} is not allowed: use ${allowed}`);
}
