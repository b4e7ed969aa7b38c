// `orch events`: live, as the server republishes them; with --since, from the journal.
import {
  AgentEntry,
  anyHistoryFilter,
  eventsFilter,
  JOURNAL,
  JournalEntry,
  NodeEntry,
  parseDuration,
  parseEntrySubject,
  parseId,
  tryDecode,
} from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, interrupted, jsonArg, withBus } from '../connection.ts';
import { colors, printLine, safe, stateText } from '../print.ts';

export const events = command({
  details: 'Ends at Ctrl-C. With --since, replays the journal first and continues without a gap.',
  args: {
    since: {
      type: 'string',
      valueHint: 'duration',
      description: 'replay events of this last period first (default none)',
    },
    'no-follow': { type: 'boolean', description: 'with --since: end at the end of the journal' },
    task: { type: 'string', valueHint: 'id', description: 'only events of this task (default all)' },
    type: {
      type: 'string',
      valueHint: 'a,b',
      description: 'only these types: queued, claimed, done, failed ... (default all)',
    },
    actor: {
      type: 'string',
      valueHint: 'id',
      description: 'only events that this node or user wrote (default all)',
    },
    ...jsonArg,
    ...connectionArgs,
  },
  examples: [
    'orch events',
    'orch events --type done,failed --json | jq -r .task.id',
    'orch events --since 1h --no-follow',
    "nats sub 'events.>'",
  ],
  async run(args) {
    const types = args.type?.split(',').map(type => parseId(type.trim(), '--type'));
    const { task = '*', actor = '*' } = {
      task: args.task && parseId(args.task, '--task'),
      actor: args.actor && parseId(args.actor, '--actor'),
    };
    const wanted = (subject: string) => {
      const address = parseEntrySubject(subject);
      if (!address) return false;
      return (
        (task === '*' || address.id === task) &&
        (actor === '*' || address.actor === actor) &&
        (!types || types.includes(address.type))
      );
    };
    const show = (subject: string, bytes: Uint8Array) => {
      if (wanted(subject)) printEvent(bytes, args.json === true);
    };
    const signal = interrupted();
    await withBus(args, async bus => {
      if (args.since === undefined) {
        const stop = bus.requests.subscribe(eventsFilter, show);
        await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
        return stop();
      }
      const since = new Date(Date.now() - parseDuration(args.since, '--since'));
      const filter = anyHistoryFilter(task);
      // citty turns --no-follow into follow: false.
      const replayOnly = (args as Record<string, unknown>)['follow'] === false || args['no-follow'] === true;
      const source = replayOnly
        ? bus.streams.range(JOURNAL, { filter, since, signal })
        : bus.streams.tail(JOURNAL, { filter, start: { since }, signal });
      for await (const { subject, bytes } of source) show(subject, bytes);
    });
  },
});

function printEvent(bytes: Uint8Array, asJson: boolean): void {
  if (asJson) {
    printLine(Buffer.from(bytes).toString('utf8').replaceAll('\n', ' '));
    return;
  }
  const value = tryDecode(bytes);
  const task = JournalEntry.safeParse(value).data;
  const node = NodeEntry.safeParse(value).data;
  const agent = AgentEntry.safeParse(value).data;
  if (task) printLine(taskLine(task));
  else if (node) {
    const why = node.reason ?? `${node.node.host} ${node.node.capabilities.join(',')}`;
    printLine(eventLine(node, `node ${node.node.id}`, nodeTypeText(node), why));
  } else if (agent) {
    const { id, node: owner, incarnation, host } = agent.agent;
    printLine(eventLine(agent, `agent ${id}`, agent.type, `owner ${owner ?? incarnation} on ${host}`));
  } else printLine(colors.dim(safe(Buffer.from(bytes).toString('utf8').slice(0, 200))));
}

function taskLine(entry: JournalEntry): string {
  const { task } = entry;
  const why = task.error ?? task.question ?? task.reason ?? (entry.type === 'queued' ? task.description : '');
  const attempt = task.attempt > 0 ? `#${task.attempt}` : '';
  return eventLine(entry, `${task.id}${attempt}`, stateOrType(entry), why ?? '', task.lane);
}

function eventLine(
  { at, actor }: { at: string; actor: string },
  who: string,
  what: string,
  why: string,
  where = '',
): string {
  const by = colors.dim([where, actor].filter(Boolean).join(' '));
  const text = safe(why).replace(/\s+/g, ' ');
  return [colors.dim(at.slice(11, 23)), who, what, by, text].filter(Boolean).join('  ');
}

function nodeTypeText({ type, returned }: NodeEntry): string {
  if (type === 'lost') return colors.red(type);
  if (type === 'online') return colors.green(returned ? 'online again' : type);
  return type === 'offline' ? colors.gray(type) : colors.yellow(type);
}

const stateOrType = ({ type, task }: JournalEntry): string =>
  type === 'unservable' || type === 'servable'
    ? colors.yellow(type)
    : type === task.state
      ? stateText(task.state)
      : `${type} ${colors.dim('→')} ${stateText(task.state)}`;
