/**
 * Charts of the overview, drawn by uPlot.
 * @module
 */
// uPlot is typed as a CommonJS module.
import uPlot from 'uplot';

/** @typedef {import('../model.ts').Chart} Chart */

/** Plots by the elements that they are in. @type {WeakMap<Element, any>} */
const plots = new WeakMap();

/** @type {Record<string, { unit: string, lines: { label: string, color: string, dash?: number[], fill?: boolean, of: (chart: Chart) => (number | null)[] }[], max?: number }>} */
const CHARTS = {
  requests: {
    unit: '/s',
    lines: [
      { label: 'all', color: '--line-1', of: ({ requests }) => [...requests] },
      { label: 'hits', color: '--line-2', dash: [6, 3], of: ({ hits }) => [...hits] },
      { label: 'origin', color: '--line-3', dash: [2, 3], of: ({ origin }) => [...origin] },
    ],
  },
  ratio: {
    unit: '%',
    max: 100,
    lines: [
      {
        label: 'hits',
        color: '--line-2',
        of: ({ requests, hits }) => requests.map((all, at) => (all === 0 ? null : ((hits[at] ?? 0) / all) * 100)),
      },
    ],
  },
  latency: { unit: 'ms', lines: [{ label: '95 %', color: '--line-1', of: ({ p95 }) => [...p95] }] },
  errors: { unit: '/s', lines: [{ label: 'errors', color: '--line-3', of: ({ errors }) => [...errors] }] },
};

/** @param {Element} root @param {Chart} chart @param {string} window */
export function drawCharts(root, chart, window) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll('[data-chart]'))) {
    const kind = CHARTS[element.getAttribute('data-chart') ?? ''];
    if (kind === undefined) continue;
    // The last slot is not complete.
    const length = chart.requests.length - 1;
    const times = Array.from({ length }, (_, at) => (chart.untilMs - (length - at) * chart.stepMs) / 1_000);
    const data = [times, ...kind.lines.map(({ of }) => of(chart).slice(0, length))];
    const known = plots.get(element);
    if (known !== undefined && element.contains(known.root)) known.setData(data);
    else plots.set(element, draw(element, kind, data, window));
  }
}

/** @param {HTMLElement} element @param {(typeof CHARTS)[string]} kind @param {any} data @param {string} window */
function draw(element, { unit, lines, max }, data, window) {
  const style = getComputedStyle(document.body);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  };
  const size = () => ({ width: Math.max(120, element.clientWidth), height: 150 });
  const plot = new uPlot(
    {
      ...size(),
      tzDate: (/** @type {number} */ at) => uPlot.tzDate(new Date(at * 1_000), 'Etc/UTC'),
      cursor: { y: false, points: { size: 6 } },
      legend: {
        live: false,
        show: lines.length > 1,
        markers: {
          dash: (/** @type {unknown} */ _, /** @type {number} */ at) =>
            ['', 'solid', 'dashed', 'dotted'][at] ?? 'solid',
        },
      },
      scales: {
        x: { time: true },
        y: {
          range: (/** @type {unknown} */ _, /** @type {number} */ __, /** @type {number} */ top) => [
            0,
            max ?? Math.max(1, (top ?? 0) * 1.1),
          ],
        },
      },
      axes: [
        { ...axis, size: 22, space: 70, values: window === 'live' ? [[1, '{HH}:{mm}:{ss}']] : [[1, '{HH}:{mm}']] },
        {
          ...axis,
          size: 52,
          space: 30,
          values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) =>
            ticks.map((value) => `${value >= 1_000 ? `${value / 1_000}k` : value}${unit === '%' ? ' %' : ''}`),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, color: name, dash }) => ({
          label,
          stroke: color(name),
          width: 1.5,
          ...(dash && { dash }),
          points: { show: false },
          value: (/** @type {unknown} */ _, /** @type {number | null} */ value) =>
            value === null ? '–' : `${Number(value.toPrecision(3))} ${unit}`,
        })),
      ],
    },
    data,
    element,
  );
  new ResizeObserver(() => plot.setSize(size())).observe(element);
  return plot;
}
