// `orch expand`: what a record or an entity is linked to.
import { askMemory } from '../../memory/index.ts';
import { EXPAND_TOKENS_MAX, OrchError } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, printItems, withNames } from '../memory-flags.ts';
import { colors, printJson, printLine, safe } from '../print.ts';
import { parseWhole } from '../task-flags.ts';

export const expandMemory = command({
  name: 'expand',
  description: 'Show what a record or an entity of a memory is linked to, within a budget of tokens.',
  args: {
    entity: { type: 'positional', required: false, description: 'an entity, such as a person or a file' },
    id: { type: 'string', valueHint: 'id', description: 'a record, instead of an entity' },
    from: { type: 'string', valueHint: 'agent', description: 'whose memory (default: one’s own)' },
    'max-tokens': { type: 'string', valueHint: 'n', description: 'budget of the contents (default 2000)' },
    ...askerArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch expand src/main.ts --as alice', 'orch expand --id m1 --as bob --from alice --json'],
  async run(args) {
    if ((args.entity === undefined) === (args.id === undefined))
      throw new OrchError('usage', 'give either an entity or --id');
    const as = askerOf(args);
    const question = {
      as,
      ...(args.entity === undefined ? {} : { entity: args.entity }),
      ...(args.id === undefined ? {} : { id: args.id }),
      ...(args['max-tokens'] === undefined
        ? {}
        : { maxTokens: parseWhole(args['max-tokens'], '--max-tokens', 1, EXPAND_TOKENS_MAX) }),
    };
    const reply = await withBus(args, bus =>
      withNames(bus, args.from ?? as, agent => askMemory(bus, agent, 'expand', question)),
    );
    if (args.json) return printJson(reply);
    for (const { name, records } of reply.entities)
      printLine(`${safe(name)}  ${colors.dim(`${records} records`)}`);
    printItems(reply.items);
    process.stderr.write(
      colors.dim(`${reply.items.length} records, ${reply.tokens} tokens, ${reply.omitted} had no room\n`),
    );
  },
});
