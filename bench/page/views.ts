// The tables of each scenario: which metrics, with what as rows and columns.
import { scenarioOf } from '../scenarios/index.ts';
import type { ScenarioName } from '../settings.ts';
import type { Figure, Figures } from './figures.ts';
import { table } from './markdown.ts';
import { shown } from './svg.ts';

interface View {
  title: string;
  metric: string;
  /** What the columns are: a tag of the metric, or statistics of it. */
  columns: { tag: string } | { statistics: readonly string[] };
}

const PERCENTILES = ['p(50)', 'p(90)', 'p(99)', 'p(99.9)', 'max', 'count'];

const latencyViews = (name: string, tag?: string): View[] =>
  tag === undefined
    ? [
        { title: 'ms', metric: `${name}_latency`, columns: { statistics: PERCENTILES } },
        { title: 'orch to each other, p50', metric: `${name}_p50_ratio`, columns: { statistics: ['med'] } },
        { title: 'orch to each other, p99', metric: `${name}_p99_ratio`, columns: { statistics: ['med'] } },
      ]
    : [
        { title: 'p50, ms', metric: `${name}_p50`, columns: { tag } },
        { title: 'p99, ms', metric: `${name}_p99`, columns: { tag } },
      ];

const usageViews = (name: string, tag?: string, per = 'task'): View[] =>
  ['client_cpu', 'server_cpu', 'server_memory'].map(what => ({
    title: `${what.replace('_', ' ')}, ${what.endsWith('cpu') ? `µs a ${per}` : 'MB'}`,
    metric: `${name}_${what}`,
    columns: tag === undefined ? { statistics: ['med'] } : { tag },
  }));

const rateViews = (name: string, tag: string): View[] => [
  { title: 'tasks a second', metric: name, columns: { tag } },
  { title: 'orch to each other', metric: `${name}_ratio`, columns: { tag } },
];

const growth = (name: string, tag: string): View => ({
  title: 'p50 to that of the first level',
  metric: `${name}_growth`,
  columns: { tag },
});

const VIEWS: Partial<Record<ScenarioName, View[]>> = {
  dispatch: [...latencyViews('dispatch'), ...usageViews('dispatch')],
  roundtrip: [...latencyViews('roundtrip'), ...usageViews('roundtrip')],
  throughput: [...rateViews('throughput', 'in_flight'), ...usageViews('throughput', 'in_flight')],
  publish: [...rateViews('publish', 'in_flight'), ...usageViews('publish', 'in_flight')],
  drain: [...rateViews('drain', 'at_once'), ...usageViews('drain', 'at_once')],
  sustained: [{ title: 'tasks a second', metric: 'sustained', columns: { statistics: ['med'] } }],
  lanes: [...latencyViews('lanes', 'lanes'), growth('lanes', 'lanes'), ...usageViews('lanes', 'lanes')],
  backlog: [...latencyViews('backlog', 'queued'), growth('backlog', 'queued')],
  recovery: [
    {
      title: 'worker killed, ms until the task runs again',
      metric: 'recovery_worker',
      columns: { statistics: ['med'] },
    },
    {
      title: 'leader killed, longest gap in ms',
      metric: 'recovery_leader_gap',
      columns: { statistics: ['med'] },
    },
  ],
  events: [
    { title: 'p50 until a tail has seen the end, ms', metric: 'events_latency', columns: { tag: 'tails' } },
    ...latencyViews('events_dispatch', 'tails'),
    ...usageViews('events', 'tails'),
  ],
  presence: [
    { title: 'server, percent of a core', metric: 'presence_server_load', columns: { tag: 'nodes' } },
    ...usageViews('presence', 'nodes', 'heartbeat'),
    { title: 'bytes sent a heartbeat', metric: 'presence_bytes', columns: { tag: 'nodes' } },
    ...latencyViews('presence', 'nodes'),
    { title: 'p50 of a look at all nodes, ms', metric: 'presence_look', columns: { tag: 'nodes' } },
    { title: 'nodes that answered it, percent', metric: 'presence_answered', columns: { tag: 'nodes' } },
    { title: 'p50 of a status, ms', metric: 'presence_status', columns: { tag: 'nodes' } },
  ],
  recall: [
    ...latencyViews('recall'),
    { title: 'orch less each other, p50, ms', metric: 'recall_overhead', columns: { statistics: ['med'] } },
  ],
  scatter: [
    ...latencyViews('scatter', 'nodes'),
    { title: 'answers that were whole, percent', metric: 'scatter_whole', columns: { tag: 'nodes' } },
    { title: 'one node stopped, p50, ms', metric: 'scatter_stopped_latency', columns: { tag: 'nodes' } },
    { title: 'one node stopped, the slowest, ms', metric: 'scatter_stopped_max', columns: { tag: 'nodes' } },
  ],
  durable: [
    { title: 'dispatch, p50, ms', metric: 'durable_dispatch_p50', columns: { statistics: ['med'] } },
    {
      title: 'dispatch, p50, to that of orch on one server',
      metric: 'durable_dispatch_p50_share',
      columns: { statistics: ['med'] },
    },
    { title: 'tasks a second', metric: 'durable_throughput', columns: { statistics: ['med'] } },
    {
      title: 'tasks a second, to those of orch on one server',
      metric: 'durable_throughput_share',
      columns: { statistics: ['med'] },
    },
  ],
  cli: [
    { title: 'ms', metric: 'cli_duration', columns: { statistics: ['p(50)', 'max', 'count'] } },
    { title: 'orch to each other', metric: 'cli_ratio', columns: { statistics: ['med'] } },
  ],
};

/** A scenario's part of the page; nothing for one that was not run. */
export function scenarioPart(figures: Figures, name: ScenarioName): string[] {
  const parts = figures.syncs.flatMap(sync =>
    (VIEWS[name] ?? []).flatMap(view => {
      const found = figures.find(view.metric, { sync });
      return found.length === 0 ? [] : [`Sync ${sync}: ${view.title}`, '', ...viewTable(found, view), ''];
    }),
  );
  return parts.length === 0 ? [] : [`## ${name}`, '', `${scenarioOf(name).about}.`, '', ...parts];
}

function viewTable(found: readonly Figure[], { columns }: View): string[] {
  const rowOf = (figure: Figure) => String(figure.tags['side'] ?? figure.tags['to']);
  const rows = [...new Set(found.map(rowOf))];
  if ('statistics' in columns) {
    const heads = columns.statistics.map(name => (name === 'med' ? 'median' : name));
    return table(
      ['', ...heads],
      rows.map(row => {
        const figure = found.find(one => rowOf(one) === row);
        return [row, ...columns.statistics.map(name => cell(figure, name))];
      }),
    );
  }
  const levels = [...new Set(found.map(figure => String(figure.tags[columns.tag])))];
  return table(
    [columns.tag.replaceAll('_', ' '), ...levels],
    rows.map(row => [
      row,
      ...levels.map(level =>
        cell(
          found.find(one => rowOf(one) === row && String(one.tags[columns.tag]) === level),
          'med',
        ),
      ),
    ]),
  );
}

// A trend has no median of rounds; its own stands for it.
function cell(figure: Figure | undefined, statistic: string): string {
  const value = figure?.values[statistic] ?? (statistic === 'med' ? figure?.values['p(50)'] : undefined);
  if (figure === undefined || value === undefined) return '';
  const { min, max } = figure.values;
  const range = min === undefined || max === undefined ? '' : ` [${shown(min)}..${shown(max)}]`;
  return statistic === 'med' ? `${shown(value)}${range}` : shown(value);
}
