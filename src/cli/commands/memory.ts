// `orch memory <action> <agent>`: stats by request to its owner; export, import and backup on the file on this machine.
import { existsSync } from 'node:fs';
import { memoryDir } from '../../config/index.ts';
import { askMemory, fileOf, openMemory } from '../../memory/index.ts';
import { didYouMean, OrchError, parseId, quoted } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { askerArg, askerOf, suggestAgent } from '../memory-flags.ts';
import { openLines, readObjects } from '../ndjson.ts';
import { age, printJson, printLine } from '../print.ts';

const ACTIONS = ['stats', 'export', 'import', 'backup'] as const;

export const memory = command({
  details:
    'stats asks the owner of the agent. export (to stdout), import (from stdin) and backup work on the file on this\nmachine, also while its node runs; lines are NDJSON.',
  args: {
    action: { type: 'positional', required: true, description: ACTIONS.join(', ') },
    agent: { type: 'positional', required: true, description: 'the agent whose memory it is' },
    dir: {
      type: 'string',
      valueHint: 'folder',
      description: "folder of the memories (default in the user's data folder)",
    },
    to: {
      type: 'string',
      valueHint: 'file',
      description: 'with backup: the file to write, which must not exist',
    },
    ...askerArg,
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch memory stats alice --as bob',
    'orch memory export alice > alice.ndjson',
    'orch memory import alice < alice.ndjson',
    'orch memory backup alice --to alice-monday.db',
  ],
  async run(args) {
    const agent = parseId(args.agent, 'agent');
    const dir = args.dir ?? memoryDir();
    switch (args.action) {
      case 'stats': {
        const as = args.as === undefined ? agent : askerOf(args);
        const stats = await withBus(args, bus =>
          suggestAgent(bus, agent, () => askMemory(bus, agent, 'stats', { as })),
        );
        if (args.json) return printJson(stats);
        printLine(
          `${stats.records} records, ${stats.entities} entities, ${stats.embedded} with a vector${stats.model ? ` of ${stats.model}` : ''}`,
        );
        for (const [type, count] of Object.entries(stats.types)) printLine(`  ${type}  ${count}`);
        if (stats.oldest) printLine(`from ${age(stats.oldest)} to ${age(stats.newest)} ago`);
        return;
      }
      case 'export':
        return withStore(dir, agent, async store => {
          for await (const line of store.export())
            if (!process.stdout.write(`${line}\n`))
              await new Promise(resolve => process.stdout.once('drain', resolve));
        });
      case 'import':
        return withStore(
          dir,
          agent,
          async store => {
            printJson(await store.import(readObjects(openLines('-'))));
          },
          true,
        );
      case 'backup': {
        const { to } = args;
        if (to === undefined) throw new OrchError('usage', 'backup needs --to');
        return withStore(dir, agent, store => store.backup(to));
      }
      default:
        throw new OrchError(
          'usage',
          `${quoted(args.action)} is not allowed: use ${ACTIONS.join(', ')}`,
          didYouMean(args.action, ACTIONS),
        );
    }
  },
});

type Store = Awaited<ReturnType<typeof openMemory>>;

// Opens the file itself, whether its node runs or not.
async function withStore(
  dir: string,
  agent: string,
  use: (store: Store) => Promise<void>,
  isCreated = false,
): Promise<void> {
  if (!isCreated && !existsSync(fileOf(dir, agent)))
    throw new OrchError(
      'not_found',
      `agent ${agent} has no memory on this machine: no ${fileOf(dir, agent)}`,
    );
  const store = await openMemory({ dir, agent });
  try {
    await use(store);
  } finally {
    await store.close();
  }
}
