// A command as data: a table of arguments, examples, and a function. Help, validation and types all come from the
// table. Its name and its one line stand in the table of commands in main.ts, which loads no command to print them.
import { stripVTControlCharacters } from 'node:util';
import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs, parseArgs, renderUsage } from 'citty';
import { didYouMean, ERROR_CODES, OrchError } from '../protocol/index.ts';
import { hasColor } from './print.ts';

export interface Command<T extends ArgsDef> {
  /** What the one line of the command leaves open; shown below it in the help. */
  details?: string;
  args: T;
  /** Shell lines; the first word is always `orch`. */
  examples: readonly string[];
  run(args: ParsedArgs<T>): Promise<void>;
}

/** Declares a command. It exists only for the types of its arguments. */
export const command = <const T extends ArgsDef>(definition: Command<T>): Command<T> => definition;

/** Parses strictly and runs. Throws `usage` for a flag or word that is not in the table, or one that is missing. */
export async function runCommand<T extends ArgsDef>(
  name: string,
  { args: table, run }: Command<T>,
  rawArgs: readonly string[],
): Promise<void> {
  checkFlags(name, table, rawArgs);
  const args = parse(name, table, rawArgs);
  checkPositionals(name, table, args._);
  checkStrings(table, args);
  await run(args);
}

function parse<T extends ArgsDef>(name: string, table: T, rawArgs: readonly string[]): ParsedArgs<T> {
  try {
    return parseArgs<T>([...rawArgs], table);
  } catch (error) {
    const text = (error as Error).message.replace(/\s+/g, ' ');
    throw new OrchError('usage', text.charAt(0).toLowerCase() + text.slice(1), {
      advice: `\`orch ${name} --help\` shows what is allowed`,
    });
  }
}

function checkFlags(name: string, table: ArgsDef, rawArgs: readonly string[]): void {
  const known = new Map<string, boolean>();
  for (const [flag, definition] of Object.entries(table)) {
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

// A positional whose name is a plural takes all words that are left.
function checkPositionals(name: string, table: ArgsDef, words: readonly string[]): void {
  const positionals = Object.entries(table).filter(([, definition]) => definition.type === 'positional');
  const takesRest = positionals.some(([key]) => key.endsWith('s'));
  if (!takesRest && words.length > positionals.length) {
    throw new OrchError('usage', `unexpected argument "${words[positionals.length]}"`, {
      advice: `\`orch ${name} --help\` shows what is allowed`,
    });
  }
}

// `--caps=`, and an empty variable in a script, are most likely mistakes.
function checkStrings(table: ArgsDef, parsed: Record<string, unknown>): void {
  for (const [key, definition] of Object.entries(table)) {
    if (definition.type === 'string' && parsed[key] === '')
      throw new OrchError('usage', `flag --${key} needs a value`);
  }
}

function aliasesOf(definition: ArgsDef[string]): string[] {
  const alias = 'alias' in definition ? definition.alias : undefined;
  return alias === undefined ? [] : typeof alias === 'string' ? [alias] : alias;
}

/** The help page: the command's one line, its details, usage and arguments by citty, examples and exit codes. */
export async function renderHelp(
  name: string,
  summary: string,
  { details, args, examples }: Omit<Command<ArgsDef>, 'run'>,
): Promise<string> {
  const colored = await renderUsage(defineCommand({ meta: { name: `orch ${name}` }, args }) as CommandDef);
  // Its first line is a description; the summary takes its place.
  const usage = colored.slice(colored.indexOf('\n') + 1);
  return [
    summary,
    ...(details === undefined ? [] : ['', details]),
    (hasColor ? usage : stripVTControlCharacters(usage)).replace(/[ \t]+$/gm, '').trimEnd(),
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
