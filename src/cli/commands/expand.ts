// `orch expand [entity]`
import { askMemory } from '../../memory/index.ts';
import { EXPAND_TOKENS_MAX, OrchError } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, printItems, suggestAgent } from '../memory-flags.ts';
import { colors, printJson, printLine, safe } from '../print.ts';
import { parseInteger } from '../task-flags.ts';

export const expandMemory = command({
  args: {
    entity: { type: 'positional', required: false, description: 'an entity, such as a person or a file' },
    id: { type: 'string', valueHint: 'id', description: 'a record, instead of an entity' },
    from: {
      type: 'string',
      valueHint: 'agent',
      description: 'whose memory to ask (default the agent’s own)',
    },
    'max-tokens': {
      type: 'string',
      valueHint: 'n',
      description: `limit of the contents, 1 to ${EXPAND_TOKENS_MAX} (default 2000)`,
    },
    ...askerArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: ['orch expand src/main.ts --as alice', 'orch expand --id m1 --as bob --from alice --json'],
  async run(args) {
    if ((args.entity === undefined) === (args.id === undefined))
      throw new OrchError('usage', 'give either an entity or --id');
    const as = askerOf(args);
    const owner = args.from ?? as;
    const question = {
      as,
      ...(args.entity === undefined ? {} : { entity: args.entity }),
      ...(args.id === undefined ? {} : { id: args.id }),
      ...(args['max-tokens'] === undefined
        ? {}
        : { maxTokens: parseInteger(args['max-tokens'], '--max-tokens', 1, EXPAND_TOKENS_MAX) }),
    };
    const reply = await withBus(args, bus =>
      suggestAgent(bus, owner, () => askMemory(bus, owner, 'expand', question)),
    );
    if (args.json) return printJson(reply);
    for (const { name, records } of reply.entities)
      printLine(`${safe(name)}  ${colors.dim(`${records} records`)}`);
    printItems(reply.items);
    process.stderr.write(
      colors.dim(
        `${reply.items.length} records, ${reply.tokens} tokens, ${reply.omitted} omitted for size\n`,
      ),
    );
  },
});
