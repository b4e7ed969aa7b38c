// The plots of the page: percentiles of latency, rates, and how dispatch grows with the backlog and with lanes.
import type { Figures } from './figures.ts';
import { barPlot, linePlot } from './svg.ts';

/** Each plot by its file name. */
export function drawPlots(figures: Figures): Map<string, string> {
  const plots = new Map<string, string>();
  for (const sync of figures.syncs) {
    for (const name of ['dispatch', 'roundtrip']) {
      const found = figures.find(`${name}_latency`, { sync });
      const steps = ['p(50)', 'p(90)', 'p(99)', 'p(99.9)'];
      const series = found.map(({ tags, values }) => ({
        name: String(tags['side']),
        values: steps.map(step => values[step]),
      }));
      const title = `${name}: percentiles, sync ${sync}`;
      if (series.length > 0)
        plots.set(
          `${name}-${sync}.svg`,
          linePlot({
            title,
            xLabel: 'percentile',
            yLabel: 'ms',
            steps: steps.map(step => step.replace(/[()]/g, '')),
            series,
          }),
        );
    }
    const groups = figures.rates(sync);
    const title = `tasks a second, sync ${sync}`;
    if (groups.length > 0) plots.set(`rates-${sync}.svg`, barPlot({ title, unit: '/s', groups }));
    for (const [name, tag, xLabel] of [
      ['backlog', 'queued', 'tasks queued in other lanes'],
      ['lanes', 'lanes', 'lanes that the worker serves'],
    ] as const) {
      const found = figures.find(`${name}_p50`, { sync });
      const steps = [...new Set(found.map(figure => String(figure.tags[tag])))];
      const series = [...new Set(found.map(({ tags }) => String(tags['side'])))].map(side => ({
        name: side,
        values: steps.map(
          step =>
            found.find(({ tags }) => tags['side'] === side && String(tags[tag]) === step)?.values['med'],
        ),
      }));
      const plot = { title: `${name}: dispatch p50, sync ${sync}`, xLabel, yLabel: 'ms', steps, series };
      if (series.length > 0) plots.set(`${name}-${sync}.svg`, linePlot(plot));
    }
  }
  return plots;
}
