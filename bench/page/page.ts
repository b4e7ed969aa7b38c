// The page: bench/RESULTS.md with its plots, and the benchmark's part of README.md, from the summaries of runs.
// It holds no figure that is not in a summary, and names the command that each summary came from.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrchError } from '../../src/protocol/index.ts';
import { AIMS } from '../aims.ts';
import { parseThreshold } from '../harness/report.ts';
import { SCENARIO_NAMES, type Tags } from '../settings.ts';
import type { Summary } from '../summary.ts';
import { type Figure, Figures } from './figures.ts';
import { lines, table } from './markdown.ts';
import { drawPlots } from './plots.ts';
import { shown } from './svg.ts';
import { scenarioPart } from './views.ts';

/** The folder whose page is the project's own; README.md shows an extract of it. */
export const OWN_FOLDER = 'bench';
const README = 'README.md';
const PAGE = 'RESULTS.md';
/** What stands between these in a page is written by hand, and kept. */
const [NOTES_BEGIN, NOTES_END] = ['<!-- notes: begin -->', '<!-- notes: end -->'];
const [BEGIN, END] = ['<!-- benchmark: begin -->', '<!-- benchmark: end -->'];

/** Reads what `--summary-export` wrote. Throws `usage`. */
export async function readSummaries(files: readonly string[]): Promise<Summary[]> {
  const summaries: Summary[] = [];
  for (const file of files) {
    try {
      const summary = JSON.parse(await readFile(file, 'utf8')) as Summary;
      if (typeof summary.metrics !== 'object') throw new Error('it has no metrics');
      summaries.push(summary);
    } catch (error) {
      throw new OrchError('usage', `${file} is not a summary: ${(error as Error).message}`);
    }
  }
  return summaries;
}

/**
 * Writes the page into a folder, which is made; README.md too if it is the project's own.
 * Throws `usage` for a smoke run there.
 */
export async function writePage(folder: string, summaries: readonly Summary[]): Promise<void> {
  if (folder === OWN_FOLDER && summaries.some(summary => summary.smoke))
    throw new OrchError('usage', 'figures of a smoke run mean nothing: use --report-to with another folder');
  const figures = new Figures(summaries);
  const plots = drawPlots(figures);
  await mkdir(join(folder, 'plots'), { recursive: true });
  for (const [name, svg] of plots) await writeFile(join(folder, 'plots', name), svg);
  const file = join(folder, PAGE);
  const notes = notesIn(await readFile(file, 'utf8').catch(() => ''));
  await writeFile(file, page(figures, summaries, [...plots.keys()], notes));
  if (folder === OWN_FOLDER) await writeExtract(figures, [...plots.keys()]);
}

function notesIn(text: string): string {
  const [from, to] = [text.indexOf(NOTES_BEGIN), text.indexOf(NOTES_END)];
  return from < 0 || to < from ? `${NOTES_BEGIN}\n${NOTES_END}` : text.slice(from, to + NOTES_END.length);
}

function page(
  figures: Figures,
  summaries: readonly Summary[],
  plots: readonly string[],
  notes: string,
): string {
  const checks = summaries.flatMap(summary => summary.root_group.checks);
  const failed = checks.filter(check => check.fails > 0);
  return lines(
    '# Results of the benchmark',
    '',
    'Written by the commands below; `bench/README.md` explains what is measured and how to read it. Figures are medians over',
    'rounds, with the least and the most of a round in brackets; percentiles are of all rounds together. Ratios last; times and rates are',
    'those of this machine.',
    '',
    ...summaries.flatMap(summary => [
      `    ${summary.command}`,
      '',
      ...table(['', ''], Object.entries({ ...summary.facts, ...absences(summary) })),
      '',
    ]),
    `Correctness: ${checks.length - failed.length} of ${checks.length} checks passed: no task lost, none ended twice.`,
    ...failed.map(check => `- **failed:** ${check.name} (${check.detail})`),
    '',
    '## Where orch loses',
    '',
    ...losses(figures),
    '',
    '## Aims',
    '',
    ...table(['aim', 'median', ''], aims(figures)),
    '',
    notes,
    '',
    ...plots.flatMap(plot => [`![${plot.replace('.svg', '')}](plots/${plot})`, '']),
    ...SCENARIO_NAMES.flatMap(name => scenarioPart(figures, name)),
  );
}

const absences = ({ absent }: Summary): Record<string, string> =>
  Object.fromEntries(Object.entries(absent).map(([what, why]) => [`absent: ${what}`, why]));

// All ratios but those to what does nothing: a time above another's, a rate below it.
function losses(figures: Figures): string[] {
  const found = figures.all.flatMap(figure => {
    const { name, tags, values } = figure;
    if (!name.endsWith('_ratio') || tags['to'] === 'floor' || tags['to'] === 'node') return [];
    const ratio = values['med'] ?? Number.NaN;
    const isRate = figures.all.some(one => `${one.name}_ratio` === name && one.unit === '/s');
    const by = isRate ? 1 / ratio : ratio;
    return by > 1 ? [{ by, line: `${labelOf(figure)}: ${shown(ratio)} x` }] : [];
  });
  if (found.length === 0) return ['Nowhere in this run.'];
  return [
    'Ratios of orch to the other side, the worst first; of times above 1, of rates below 1.',
    '',
    ...found.sort((a, b) => b.by - a.by).map(({ line }) => `- ${line}`),
  ];
}

const labelOf = ({ name, tags }: Figure): string => {
  const { to, sync, ...level } = tags;
  const levels = Object.entries(level).map(([tag, value]) => `${tag.replaceAll('_', ' ')} ${value}`);
  return [name.replace(/_ratio$/, '').replaceAll('_', ' '), `to ${to}`, `sync ${sync}`, ...levels].join(', ');
};

function aims(figures: Figures): [string, string, string][] {
  return AIMS.flatMap(({ threshold: text }): [string, string, string][] => {
    const { name, tags, operator, limit } = parseThreshold(text);
    const found = figures.find(name, tags);
    if (found.length === 0) return [[`\`${text}\``, 'not measured', '']];
    return found.map(figure => {
      const value = figure.values['med'] ?? Number.NaN;
      const isMet = { '<=': value <= limit, '>=': value >= limit, '<': value < limit, '>': value > limit }[
        operator
      ];
      const where = Object.entries(figure.tags)
        .filter(([tag]) => !(tag in tags))
        .map(([tag, of]) => `${tag} ${of}`);
      return [`\`${text}\` ${where.join(', ')}`, shown(value), isMet ? 'reached' : '**missed**'];
    });
  });
}

// -- README.md

async function writeExtract(figures: Figures, plots: readonly string[]): Promise<void> {
  const readme = await readFile(README, 'utf8');
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) throw new OrchError('usage', `${README} has no lines ${BEGIN} and ${END}`);
  const sync = figures.syncs.at(-1) ?? '';
  const plot = plots.find(name => name === `dispatch-${sync}.svg`);
  const sides = figures.sides;
  const rows: [label: string, metric: string, tags: Tags][] = [
    ['dispatch, p50 ms', 'dispatch_p50', {}],
    ['dispatch, p99 ms', 'dispatch_p99', {}],
    ['round trip, p50 ms', 'roundtrip_p50', {}],
    ['publish, 100 in flight, /s', 'publish', { in_flight: 100 }],
    ['drain, 100 at once, /s', 'drain', { at_once: 100 }],
    ['all the way, 100 in flight, /s', 'throughput', { in_flight: 100 }],
  ];
  const extract = lines(
    BEGIN,
    `Servers that sync every ${sync === 'always' ? 'write' : sync}; medians of rounds that go from side to side, on one machine (\`bench/RESULTS.md\`):`,
    '',
    ...table(
      ['', ...sides],
      rows
        .map(([label, metric, tags]) => [
          label,
          ...sides.map(side => {
            const value = figures.find(metric, { ...tags, side, sync })[0]?.values['med'];
            return value === undefined ? '' : shown(value);
          }),
        ])
        // A run of some scenarios shows those.
        .filter(([, ...cells]) => cells.some(Boolean)),
    ),
    '',
    ...(plot ? [`![dispatch](bench/plots/${plot})`] : []),
    END,
  ).trimEnd();
  await writeFile(README, readme.slice(0, from) + extract + readme.slice(to + END.length));
}
