// `orch remember [content]`: from arguments, stdin or a file of records.
import type { Bus } from '../../bus/index.ts';
import { type MemoryQuestion, memoryClient } from '../../memory/index.ts';
import { OrchError, quoted, type RememberReply, VISIBILITIES } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, parseShare, suggestAgent } from '../memory-flags.ts';
import { forEachObject, openLines } from '../ndjson.ts';
import { printJson, printLine } from '../print.ts';
import { readStdin } from '../stdin.ts';
import { parseInteger } from '../task-flags.ts';

type Remembered = Omit<MemoryQuestion<'remember'>, 'as'>;

export const rememberInMemory = command({
  details: 'Changes the record that has the same key or id. Only the agent itself writes to its memory.',
  args: {
    contents: {
      type: 'positional',
      required: false,
      description: 'text to remember; `-` or nothing reads stdin',
    },
    from: {
      type: 'string',
      valueHint: 'file',
      description: 'remember each line of an NDJSON file of records (`-` = stdin)',
    },
    key: {
      type: 'string',
      valueHint: 'name',
      description: 'name of the record within this memory (default none)',
    },
    id: { type: 'string', valueHint: 'id', description: 'record to change (default a new one)' },
    type: { type: 'string', valueHint: 'word', description: 'kind of the record (default note)' },
    tags: { type: 'string', valueHint: 'a,b', description: 'words to filter by (default none)' },
    links: {
      type: 'string',
      valueHint: 'a,b',
      description: 'entities that the record is about (default none)',
    },
    importance: { type: 'string', valueHint: '0..1', description: 'rank it higher or lower (default 0.5)' },
    pinned: { type: 'boolean', description: 'rank it higher, and keep it when a filter forgets' },
    source: { type: 'string', valueHint: 'text', description: 'where it comes from (default none)' },
    visibility: {
      type: 'string',
      valueHint: 'v',
      description: `who may read it: ${VISIBILITIES.join(', ')}, never more than the agent allows (default as the agent)`,
    },
    'if-version': {
      type: 'string',
      valueHint: 'n',
      description: 'write only if the record has this version; 0 = only if it is new (default any)',
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
    const { from } = args;
    if (from !== undefined) return withBus(args, bus => rememberFile(bus, as, from, args.json === true));
    const record = { ...fieldsOf(args), content: await contentOf(args._) };
    const reply = await withBus(args, bus => remember(bus, as, record));
    if (args.json) printJson(reply);
    else printLine(`${reply.id ?? '-'}  ${reply.outcome}, version ${reply.version}`);
    if (reply.outcome === 'conflict') throw versionConflict('the', reply.version, '--if-version');
  },
});

const remember = (bus: Bus, as: string, record: Remembered): Promise<RememberReply> =>
  suggestAgent(bus, as, () => memoryClient(bus, { as }).remember(record));

// One line after the other: a later one may change what an earlier one added. A conflict does not stop the file.
async function rememberFile(bus: Bus, as: string, file: string, asJson: boolean): Promise<void> {
  const counts = { remembered: 0, created: 0 };
  let conflict: OrchError | undefined;
  await forEachObject(
    openLines(file),
    async (value, at) => {
      const reply = await remember(bus, as, value as Remembered);
      if (asJson) printJson(reply);
      if (reply.outcome === 'conflict')
        conflict ??= versionConflict(`${at}: the`, reply.version, 'ifVersion');
      else counts.remembered++;
      if (reply.outcome === 'created') counts.created++;
    },
    1,
  );
  if (!asJson) printLine(`${counts.remembered} remembered, ${counts.created} of them new`);
  if (conflict) throw conflict;
}

const versionConflict = (start: string, version: number, field: string): OrchError =>
  new OrchError('conflict', `${start} version is ${version}, not the one of ${field}`);

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
      `--visibility ${quoted(flags.visibility)} is not allowed: use ${VISIBILITIES.join(', ')}`,
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
      : { ifVersion: parseInteger(flags['if-version'], '--if-version', 0, Number.MAX_SAFE_INTEGER) }),
  };
}

async function contentOf(words: readonly string[]): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === '-')) return words.join(' ');
  if (process.stdin.isTTY)
    throw new OrchError('usage', 'no text given', {
      advice: 'give it as an argument, on stdin, or as a file with --from',
    });
  return (await readStdin()).trimEnd();
}
