// `orch remember`: adds to an agent's memory, from arguments, stdin or a file of records.
import { readFileSync } from 'node:fs';
import { type MemoryQuestion, memoryClient } from '../../memory/index.ts';
import { messageOf, OrchError, type RememberReply, VISIBILITIES } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, parseShare, withNames } from '../memory-flags.ts';
import { printJson, printLine } from '../print.ts';
import { readStdin } from '../stdin.ts';
import { parseWhole } from '../task-flags.ts';

type Remembered = Omit<MemoryQuestion<'remember'>, 'as'>;

export const rememberInMemory = command({
  name: 'remember',
  description: "Add to an agent's own memory, or change the record with that key or id.",
  args: {
    contents: {
      type: 'positional',
      required: false,
      description: 'what to remember; `-` or nothing reads stdin',
    },
    from: {
      type: 'string',
      valueHint: 'file',
      description: 'remember each line of an NDJSON file of records',
    },
    key: { type: 'string', valueHint: 'name', description: 'its name: at most one record has it' },
    id: { type: 'string', valueHint: 'id', description: 'the record to change' },
    type: { type: 'string', valueHint: 'word', description: 'its kind (default note)' },
    tags: { type: 'string', valueHint: 'a,b', description: 'words to filter by' },
    links: { type: 'string', valueHint: 'a,b', description: 'entities that it is about' },
    importance: { type: 'string', valueHint: '0..1', description: 'moves it up or down (default 0.5)' },
    pinned: { type: 'boolean', description: 'moves it up, and a filter does not forget it' },
    source: { type: 'string', valueHint: 'text', description: 'where it comes from' },
    visibility: {
      type: 'string',
      valueHint: 'v',
      description: `who may read it: ${VISIBILITIES.join(', ')}; narrows only`,
    },
    'if-version': {
      type: 'string',
      valueHint: 'n',
      description: 'only if it has this version; 0 = only if it is new',
    },
    ...askerArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    "orch remember 'deploys go out on Tuesdays' --as alice --tags deploy --links api --importance 0.8",
    'orch remember --as alice --key style-guide < STYLE.md',
    'orch remember --as alice --from notes.ndjson',
  ],
  async run(args) {
    const as = askerOf(args);
    const records =
      args.from === undefined
        ? [{ ...fieldsOf(args), content: await contentOf(args._) }]
        : readRecords(args.from);
    const replies = await withBus(args, bus =>
      withNames(bus, as, async () => {
        const memory = memoryClient(bus, { as });
        const done: RememberReply[] = [];
        for (const [i, record] of records.entries())
          done.push(
            await memory.remember(record).catch(error => Promise.reject(atLine(error, args.from, i))),
          );
        return done;
      }),
    );
    if (args.json) printJson(args.from === undefined ? replies[0] : replies);
    else if (args.from !== undefined) {
      const created = replies.filter(({ outcome }) => outcome === 'created').length;
      printLine(`${replies.length} remembered, ${created} of them new`);
    } else printLine(`${replies[0]?.id ?? '-'}  ${replies[0]?.outcome}, version ${replies[0]?.version}`);
    const conflicts = replies.filter(({ outcome }) => outcome === 'conflict');
    if (conflicts.length > 0)
      throw new OrchError('conflict', `the version is ${conflicts[0]?.version}, not the one of --if-version`);
  },
});

type Fields = {
  [K in 'key' | 'id' | 'type' | 'tags' | 'links' | 'importance' | 'source' | 'visibility' | 'if-version']?:
    | string
    | undefined;
} & { pinned?: boolean | undefined };

function fieldsOf(flags: Fields): Omit<Remembered, 'content'> {
  const visibility = VISIBILITIES.find(known => known === flags.visibility);
  if (flags.visibility !== undefined && !visibility) {
    throw new OrchError(
      'usage',
      `--visibility ${JSON.stringify(flags.visibility)} is not allowed: use ${VISIBILITIES.join(', ')}`,
    );
  }
  return {
    ...(flags.key === undefined ? {} : { key: flags.key }),
    ...(flags.id === undefined ? {} : { id: flags.id }),
    ...(flags.type === undefined ? {} : { type: flags.type }),
    ...(flags.tags === undefined ? {} : { tags: flags.tags.split(',') }),
    ...(flags.links === undefined ? {} : { links: flags.links.split(',') }),
    ...(flags.importance === undefined ? {} : { importance: parseShare(flags.importance, '--importance') }),
    ...(flags.source === undefined ? {} : { source: flags.source }),
    ...(visibility ? { visibility } : {}),
    ...(flags.pinned ? { pinned: true } : {}),
    ...(flags['if-version'] === undefined
      ? {}
      : { ifVersion: parseWhole(flags['if-version'], '--if-version', 0, Number.MAX_SAFE_INTEGER) }),
  };
}

async function contentOf(words: readonly string[]): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === '-')) return words.join(' ');
  if (process.stdin.isTTY)
    throw new OrchError('usage', 'nothing to remember', {
      advice: 'give it as an argument, on stdin, or with --from',
    });
  return (await readStdin()).trimEnd();
}

function readRecords(file: string): Remembered[] {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new OrchError('usage', `--from ${file} cannot be read: ${messageOf(error)}`);
  }
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as Remembered];
    } catch (error) {
      throw new OrchError('usage', `--from ${file}, line ${i + 1}: ${messageOf(error)}`);
    }
  });
}

function atLine(error: unknown, file: string | undefined, index: number): unknown {
  if (file === undefined || !(error instanceof OrchError)) return error;
  return new OrchError(error.code, `${file}, record ${index + 1}: ${error.message}`, { cause: error });
}
