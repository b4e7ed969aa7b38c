// What a command is: a name, one line, a table of arguments, examples, and what it does. Help, validation and types
// all come from the table. Never here: what any one command does.
import { stripVTControlCharacters } from 'node:util';
import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs, parseArgs, renderUsage } from 'citty';
import { didYouMean, ERROR_CODES, OrchError } from '../protocol/index.ts';
import { hasColor } from './print.ts';

export interface Command<T extends ArgsDef> {
  name: string;
  description: string;
  args: T;
  /** Shell lines; the first word is always `orch`. */
  examples: readonly string[];
  run(args: ParsedArgs<T>): Promise<void>;
}

/** A command as data, without what it does. */
type Described = Omit<Command<ArgsDef>, 'run'>;

/** Declares a command; here only for the types of its arguments. */
export const command = <const T extends ArgsDef>(definition: Command<T>): Command<T> => definition;

/** Parses strictly and runs. Throws `usage` for a flag or word that is not in the table, or one that is missing. */
export async function runCommand<T extends ArgsDef>(
  definition: Command<T>,
  rawArgs: readonly string[],
): Promise<void> {
  checkFlags(definition, rawArgs);
  const args = parse(definition, rawArgs);
  checkPositionals(definition, args._);
  checkStrings(definition, args);
  await definition.run(args);
}

function parse<T extends ArgsDef>(definition: Command<T>, rawArgs: readonly string[]): ParsedArgs<T> {
  try {
    return parseArgs<T>([...rawArgs], definition.args);
  } catch (error) {
    const text = (error as Error).message.replace(/\s+/g, ' ');
    throw new OrchError('usage', text.charAt(0).toLowerCase() + text.slice(1), {
      advice: `\`orch ${definition.name} --help\` shows what is allowed`,
    });
  }
}

function checkFlags({ name, args }: Described, rawArgs: readonly string[]): void {
  const known = new Map<string, boolean>();
  for (const [flag, definition] of Object.entries(args)) {
    if (definition.type === 'positional') continue;
    const isBoolean = definition.type === 'boolean';
    for (const alias of [flag, ...aliasesOf(definition)]) known.set(alias, isBoolean);
    if (isBoolean) known.set(`no-${flag}`, true);
  }
  for (let i = 0; i < rawArgs.length; i++) {
    const word = rawArgs[i] ?? '';
    if (word === '--') return;
    if (!word.startsWith('-') || word === '-') continue;
    const flag = word.replace(/^--?/, '').split('=')[0] ?? '';
    const isBoolean = known.get(flag);
    if (isBoolean === undefined) {
      const near = didYouMean(
        flag,
        [...known.keys()].filter(key => key.length > 1),
      );
      throw new OrchError('usage', `unknown flag ${word.split('=')[0]}`, {
        advice: near.advice?.replace(/"(.*)"/, '--$1') ?? `\`orch ${name} --help\` lists the flags`,
      });
    }
    if (isBoolean || word.includes('=')) continue;
    if (rawArgs[i + 1] === undefined) throw new OrchError('usage', `flag ${word} needs a value`);
    i++;
  }
}

function checkPositionals({ name, args }: Described, words: readonly string[]): void {
  const positionals = Object.entries(args).filter(([, definition]) => definition.type === 'positional');
  const takesRest = positionals.some(([key]) => key.endsWith('s'));
  if (!takesRest && words.length > positionals.length) {
    throw new OrchError('usage', `unexpected argument "${words[positionals.length]}"`, {
      advice: `\`orch ${name} --help\` shows what is allowed`,
    });
  }
}

// `--caps=` and a repeated flag are as good as forgotten.
function checkStrings({ args }: Described, parsed: Record<string, unknown>): void {
  for (const [key, definition] of Object.entries(args)) {
    if (definition.type === 'string' && parsed[key] === '')
      throw new OrchError('usage', `flag --${key} needs a value`);
  }
}

function aliasesOf(definition: ArgsDef[string]): string[] {
  const alias = 'alias' in definition ? definition.alias : undefined;
  return alias === undefined ? [] : typeof alias === 'string' ? [alias] : alias;
}

/** The help page: usage and arguments by citty, then examples and exit codes. */
export async function renderHelp({ name, description, args, examples }: Described): Promise<string> {
  const meta = { name: `orch ${name}`, description };
  const colored = await renderUsage(defineCommand({ meta, args }) as CommandDef);
  const usage = (hasColor ? colored : stripVTControlCharacters(colored)).replace(/[ \t]+$/gm, '');
  return [
    usage.trimEnd(),
    '',
    'EXAMPLES',
    '',
    ...examples.map(line => `  ${line}`),
    '',
    'EXIT CODES',
    '',
    ...exitCodeLines(),
    '',
  ].join('\n');
}

function exitCodeLines(): string[] {
  const byExit = new Map<number, string>([[0, 'ok']]);
  for (const { exit, meaning } of Object.values(ERROR_CODES)) {
    const known = byExit.get(exit);
    byExit.set(exit, known === undefined ? meaning : `${known}; ${meaning}`);
  }
  return [...byExit]
    .sort(([a], [b]) => a - b)
    .map(([exit, meaning]) => `  ${String(exit).padEnd(4)} ${meaning}`);
}
