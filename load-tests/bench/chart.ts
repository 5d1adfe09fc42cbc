/**
 * The chart of the README: bars of processor time for each scenario, as SVG.
 * Its colours follow the reader's light or dark theme.
 * @module
 */
import { METRICS, show } from './metrics.ts';
import { type Results, type ScenarioResult, SEAWALL, type ServerResult } from './results.ts';

/** Scenarios that are drawn, as far as they were measured. */
const DRAWN = ['hit-browser', 'hit-tls', 'hit-http2', 'not-modified', 'hit-100k', 'hit-10m', 'miss', 'latency'];

const WIDTH = 860;
const LABEL = 170;
const BAR_AREA = 480;
const BAR = 14;
const GAP = 5;
const GROUP_GAP = 30;
const TOP = 64;
const FOOT = 34;

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .group { font-size: 13px; font-weight: 600; }
  .note { fill: #59636e; font-size: 11px; }
  .ours { fill: #0969da; }
  .theirs { fill: #afb8c1; }
  .floor { fill: #d8dee4; }
  .value { font-variant-numeric: tabular-nums; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .ours { fill: #4493f8; }
    .theirs { fill: #59636e; }
    .floor { fill: #3d444d; }
  }
`;

/** @returns The whole SVG document. */
export function chart(results: Pick<Results, 'scenarios' | 'commit' | 'date' | 'machine'>): string {
  const groups = DRAWN.flatMap((name) => results.scenarios.filter((scenario) => scenario.name === name)).filter(
    isDrawable,
  );
  const parts: string[] = [];
  let y = TOP;
  for (const scenario of groups) {
    parts.push(text(16, y, `${scenario.title}, ${headingOf(scenario)}`, 'group'));
    y += 12;
    const bars = barsOf(scenario);
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { server, value } of bars) {
      const width = Math.max(1, (value / most) * BAR_AREA);
      const kind = server.name === SEAWALL ? 'ours' : server.name === 'floor' ? 'floor' : 'theirs';
      parts.push(
        text(LABEL - 8, y + BAR - 3, server.title, kind === 'ours' ? 'group' : '', 'end'),
        `<rect class="${kind}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
        text(LABEL + width + 6, y + BAR - 3, valueText(scenario, server, value), 'value'),
      );
      y += BAR + GAP;
    }
    y += GROUP_GAP;
  }
  const height = y - GROUP_GAP + FOOT;
  const { commit, date, machine } = results;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Seawall beside other caches">`,
    `<style>${STYLE}</style>`,
    text(16, 28, 'Seawall beside other caches, one core', 'title'),
    text(16, height - 12, `${machine.processor}, ${date.slice(0, 10)}, commit ${commit}: npm run bench`, 'note'),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

interface Bar {
  readonly server: ServerResult;
  readonly value: number;
}

function barsOf({ servers, primary }: ScenarioResult): Bar[] {
  return servers.flatMap((server) => {
    const value = server.medians[primary];
    return value === undefined || !(value > 0) ? [] : [{ server, value }];
  });
}

function isDrawable(scenario: ScenarioResult): boolean {
  return barsOf(scenario).some(({ server }) => server.name === SEAWALL);
}

function headingOf({ primary }: ScenarioResult): string {
  const { heading, better } = METRICS[primary];
  return `${heading} (${better} is better)`;
}

function valueText({ primary }: ScenarioResult, { ratios }: ServerResult, value: number): string {
  const ratio = ratios[primary];
  return ratio === undefined
    ? show(primary, value)
    : `${show(primary, value)}  (Seawall: ${ratio.median.toFixed(2)} ×)`;
}

function text(x: number, y: number, content: string, style = '', anchor = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const styled = style === '' ? '' : ` class="${style}"`;
  return `<text x="${x.toFixed(1)}" y="${y}"${styled} text-anchor="${anchor}">${escaped}</text>`;
}
