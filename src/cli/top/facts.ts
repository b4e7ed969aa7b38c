// The lines about an open task, node or lane, above its list or its output.
import type { NodeView } from '../../nodes/index.ts';
import { formatDuration, type TaskRecord } from '../../protocol/index.ts';
import type { JournalLine } from '../../tasks/index.ts';
import { lastSeenText, nodeStateText } from '../node-rows.ts';
import { age, colors, limitsText, stateText } from '../print.ts';
import { foundOf, type Page, type Picture } from './picture.ts';
import { oneLine } from './text.ts';

/** `orch task` shows the whole history. */
const HISTORY_SHOWN = 6;

/** Lines about what is open, the most important first. */
export function factLines(picture: Picture, page: Page): string[] {
  const found = foundOf(picture);
  if (found?.kind === 'missing') return [colors.red(oneLine(found.why))];
  switch (page.kind) {
    case 'task':
      return found?.kind === 'task' ? taskFacts(found.record, found.history) : [colors.dim('reading ...')];
    case 'node': {
      const view = picture.status?.nodes.find(({ id }) => id === page.id);
      return view ? nodeFacts(picture, view) : ['this node is gone'];
    }
    case 'lane':
      return laneFacts(picture, page);
  }
}

const fact = (name: string, value: string): string => `${colors.dim(name.padEnd(12))} ${value}`;

function taskFacts(record: TaskRecord, history: readonly JournalLine[]): string[] {
  const { state, priority, lane, attempt, maxAttempts, forgiven, node, createdAt, createdBy } = record;
  const why = [record.error, record.question, record.reason].find(Boolean);
  const result = record.result === undefined ? undefined : JSON.stringify(record.result);
  return [
    fact(
      'state',
      `${stateText(state)}, attempt ${attempt} of ${maxAttempts + forgiven}, on ${oneLine(node ?? 'no node')}`,
    ),
    ...(record.description ? [fact('description', oneLine(record.description))] : []),
    fact('lane', oneLine(`${priority} ${lane}`)),
    fact('published', `${age(createdAt)} ago by ${oneLine(createdBy)}, ${limitsText(record)}`),
    ...(why ? [fact('why', oneLine(why))] : []),
    ...(result ? [fact('result', oneLine(result))] : []),
    '',
    ...historyLines(history),
  ];
}

function historyLines(history: readonly JournalLine[]): string[] {
  const before = history.length - HISTORY_SHOWN;
  return [
    ...(before > 0 ? [colors.dim(`... ${before} earlier entries`)] : []),
    ...history.slice(-HISTORY_SHOWN).map(({ at, type, actor, task }) => {
      const why = oneLine(task.error ?? task.reason ?? '');
      return `${colors.dim(at.slice(0, 19).replace('T', ' '))}  ${type.padEnd(10)} ${oneLine(actor)}  ${why}`;
    }),
  ];
}

function nodeFacts({ status }: Picture, view: NodeView): string[] {
  const { record, why } = view;
  const seen = `last seen ${lastSeenText(view)}`;
  const lines = [fact('state', [nodeStateText(view), seen, oneLine(why ?? '')].filter(Boolean).join('  '))];
  if (!record) return lines;
  const { host, os, arch, pid, version, protocol, startedAt, capacity, metrics, capabilities } = record;
  const labels = Object.entries(record.labels).map(([key, value]) => `${key}=${value}`);
  const agents = (status?.agents ?? []).filter(({ owner }) => owner === view.id);
  return [
    ...lines,
    fact('host', oneLine(`${host}, ${os} ${arch}, process ${pid}, started ${age(startedAt)} ago`)),
    fact('orch', oneLine(`${version}, protocol ${protocol.min}-${protocol.max}`)),
    fact(
      'running',
      `${capacity.currentWorkers} of ${capacity.maxWorkers}, cpu ${Math.round(metrics.cpuPercent)}%, memory ${Math.round(metrics.memoryPercent)}%`,
    ),
    fact('capabilities', oneLine(capabilities.join(', ')) || 'none'),
    ...(labels.length > 0 ? [fact('labels', oneLine(labels.join(', ')))] : []),
    ...(agents.length > 0
      ? [fact('agents', oneLine(agents.map(({ id, status }) => `${id} ${status}`).join(', ')))]
      : []),
  ];
}

function laneFacts(picture: Picture, page: Page): string[] {
  const lane = picture.status?.lanes.find(({ consumer }) => consumer === page.id);
  if (!lane) return ['this lane is gone'];
  const found = foundOf(picture);
  const left = found?.kind === 'lane' ? found.total - found.tasks.length : 0;
  const needs = lane.lane === 'any' ? 'nothing' : oneLine(lane.lane.replaceAll('+', ', '));
  return [
    fact('needs', `${needs}, priority ${lane.priority}`),
    fact('waiting', `${lane.waiting}, in flight ${lane.inFlight}, lease ${formatDuration(lane.leaseMs)}`),
    fact(
      'served',
      lane.isServed ? `${lane.idleWorkers} idle workers` : colors.yellow('no live node can serve it'),
    ),
    ...(left > 0 ? [colors.dim(`the oldest waiting tasks; ${left} more are not listed`)] : []),
  ];
}
