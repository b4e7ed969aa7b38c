// Plots as SVG, written by hand: lines over steps, and bars in groups. They carry their own background, so that they are
// read alike on light and dark pages.

/** Values over the same steps; undefined where there is none. */
export interface Series {
  name: string;
  values: readonly (number | undefined)[];
}

export interface LinePlot {
  title: string;
  /** Below the steps. */
  xLabel: string;
  /** At the scale, which is logarithmic. */
  yLabel: string;
  steps: readonly string[];
  series: readonly Series[];
}

export interface BarPlot {
  title: string;
  /** Of the values, which start at 0. */
  unit: string;
  groups: readonly { label: string; bars: readonly { name: string; value: number }[] }[];
}

const WIDTH = 760;
const HEIGHT = 400;
const MARGIN = { top: 64, right: 150, bottom: 56, left: 70 };
const BAR = 16;
const GROUP_GAP = 26;
/** Distinct also for most who see fewer colours; orch's is the strongest. */
const COLOURS: Record<string, string> = {
  orch: '#d1410c',
  bare: '#1f6f8b',
  floor: '#8a8a8a',
  bullmq: '#7b4fa3',
  'graphile-worker': '#2e7d32',
  'graphile-local': '#8bb04c',
  'pg-boss': '#b8860b',
};
const OTHER = '#333333';
const STYLE =
  'text{font-family:system-ui,sans-serif;font-size:12px;fill:#222}.title{font-size:15px;font-weight:600}.faint{fill:#666}';
/** Names at the ends of lines keep this distance. */
const NAME_PITCH = 15;

/** Lines over steps that are equally far apart, on a logarithmic scale. */
export function linePlot({ title, xLabel, yLabel, steps, series }: LinePlot): string {
  const all = series.flatMap(({ values }) =>
    values.filter(value => value !== undefined && value > 0),
  ) as number[];
  const [low, high] = [Math.min(...all) / 1.3, Math.max(...all) * 1.3];
  const [right, bottom] = [WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];
  const x = (index: number) => MARGIN.left + ((index + 0.5) * (right - MARGIN.left)) / steps.length;
  const y = (value: number) =>
    bottom - ((Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (bottom - MARGIN.top);
  const parts = ticksBetween(low, high).map(
    tick =>
      `<line x1="${MARGIN.left}" x2="${right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" stroke="#e4e4e4"/>` +
      text(MARGIN.left - 8, y(tick) + 4, shown(tick), 'end'),
  );
  for (const [index, step] of steps.entries()) parts.push(text(x(index), bottom + 20, step, 'middle'));
  const ends = series.flatMap(({ name, values }) => {
    const last = values.findLastIndex(value => value !== undefined && value > 0);
    return last < 0 ? [] : [{ name, at: y(values[last] ?? 1) }];
  });
  const nameAt = spread(ends);
  for (const { name, values } of series) {
    const points = values.flatMap((value, index) =>
      value === undefined || value <= 0 ? [] : [`${x(index).toFixed(1)},${y(value).toFixed(1)}`],
    );
    if (points.length === 0) continue;
    const colour = COLOURS[name] ?? OTHER;
    const width = name === 'orch' ? 3 : 1.8;
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="${width}"/>`,
    );
    for (const point of points) {
      const [cx, cy] = point.split(',');
      parts.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
    }
    parts.push(text(right + 8, (nameAt.get(name) ?? 0) + 4, name, 'start', `style="fill:${colour}"`));
  }
  parts.push(text((MARGIN.left + right) / 2, bottom + 42, xLabel, 'middle', 'class="faint"'));
  parts.push(text(MARGIN.left - 8, MARGIN.top - 12, yLabel, 'end', 'class="faint"'));
  return document(title, HEIGHT, parts);
}

/** Horizontal bars in groups, each group on a scale of its own, with its values written out. */
export function barPlot({ title, unit, groups }: BarPlot): string {
  const parts: string[] = [];
  const [left, right] = [MARGIN.left + 60, WIDTH - MARGIN.right];
  let top = MARGIN.top - 6;
  for (const { label, bars } of groups) {
    const most = Math.max(...bars.map(bar => bar.value));
    parts.push(text(16, top + 10, label, 'start', 'style="font-weight:600"'));
    top += 18;
    for (const { name, value } of bars) {
      const width = ((right - left) * value) / most;
      const colour = COLOURS[name] ?? OTHER;
      parts.push(text(left - 8, top + 12, name, 'end'));
      parts.push(
        `<rect x="${left}" y="${top}" width="${width.toFixed(1)}" height="${BAR - 3}" fill="${colour}"/>`,
      );
      parts.push(text(left + width + 6, top + 11, `${shown(value)}${unit}`, 'start'));
      top += BAR;
    }
    top += GROUP_GAP;
  }
  return document(title, top, parts);
}

function document(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title><style>${STYLE}</style>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(16, 26, title, 'start', 'class="title"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

const text = (x: number, y: number, content: string, anchor: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" ${more}>${escaped(content)}</text>`;

const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

// 1, 2 and 5 of each power of ten.
function ticksBetween(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const digit of [1, 2, 5]) ticks.push(digit * 10 ** power);
  return ticks.filter(tick => tick >= low && tick <= high);
}

// Downwards, each at its place or below the one above it.
function spread(ends: readonly { name: string; at: number }[]): Map<string, number> {
  const places = new Map<string, number>();
  let free = Number.NEGATIVE_INFINITY;
  for (const { name, at } of [...ends].sort((a, b) => a.at - b.at)) {
    const place = Math.max(at, free);
    places.set(name, place);
    free = place + NAME_PITCH;
  }
  return places;
}

/** A number with three digits that count, thousands apart. */
export function shown(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
