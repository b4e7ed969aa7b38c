// `orch forget [id]`
import { memoryClient } from '../../memory/index.ts';
import { OrchError, parseDuration } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, suggestAgent } from '../memory-flags.ts';
import { printJson, printLine } from '../print.ts';

export const forgetInMemory = command({
  details:
    'Removes one record by its id or key, or all that match a filter, from the memory of the agent itself.',
  args: {
    id: { type: 'positional', required: false, description: 'the record’s id' },
    key: { type: 'string', valueHint: 'name', description: 'the record’s key, instead of its id' },
    type: { type: 'string', valueHint: 'word', description: 'filter: records of this type' },
    tags: { type: 'string', valueHint: 'a,b', description: 'filter: records with all of these tags' },
    'older-than': { type: 'string', valueHint: 'duration', description: 'filter: records older than this' },
    pinned: { type: 'boolean', description: 'filter: pinned records, which other filters keep' },
    ...askerArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch forget m1a2b3 --as alice', 'orch forget --as alice --type scratch --older-than 30d'],
  async run(args) {
    const as = askerOf(args);
    const filter = {
      ...(args.type === undefined ? {} : { type: args.type }),
      ...(args.tags === undefined ? {} : { tags: args.tags.split(',') }),
      ...(args['older-than'] === undefined
        ? {}
        : { until: new Date(Date.now() - parseDuration(args['older-than'], '--older-than')).toISOString() }),
      ...(args.pinned ? { pinned: true } : {}),
    };
    const ways = [args.id, args.key, Object.keys(filter).length > 0 || undefined].filter(
      way => way !== undefined,
    );
    if (ways.length !== 1) throw new OrchError('usage', 'give one of an id, --key, or a filter');
    const which =
      args.id !== undefined ? { id: args.id } : args.key !== undefined ? { key: args.key } : { filter };
    const ids = await withBus(args, bus =>
      suggestAgent(bus, as, async () => {
        const memory = memoryClient(bus, { as });
        const all: string[] = [];
        for (;;) {
          const reply = await memory.forget(which);
          all.push(...reply.ids);
          if (!reply.more) return all;
        }
      }),
    );
    if (args.json) printJson({ ids });
    else printLine(`${ids.length} forgotten`);
    if (ids.length === 0 && !('filter' in which))
      throw new OrchError('not_found', `no such record in the memory of ${as}`);
  },
});
