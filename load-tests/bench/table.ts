/** Results as text: for the terminal, and as Markdown for the documentation. @module */
import { METRICS, type Metric, show } from './metrics.ts';
import { type GoalResult, type Results, type ScenarioResult, SEAWALL, type ServerResult } from './results.ts';
import type { Spread } from './statistics.ts';

/** @returns Lines for a terminal. */
export function scenarioLines({ title, name, unavailable, primary, metrics, servers }: ScenarioResult): string[] {
  const heading = `${title} (${name})`;
  if (unavailable !== undefined) return [heading, `  not available: ${unavailable}`];
  const columns = columnsOf(primary, metrics, servers);
  const head = ['', ...columns.map((metric) => METRICS[metric].heading), ratioHeading(servers)];
  const rows = servers.map((server) => [
    server.title,
    ...(server.problem === undefined
      ? [...columns.map((metric) => show(metric, server.medians[metric])), ratioText(server.ratios[primary])]
      : [server.problem]),
  ]);
  const widths = head.map((text, i) =>
    Math.max(text.length, ...rows.map((row) => (row.length === 2 && i > 0 ? 0 : (row[i] ?? '').length))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 || cells.length === 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [heading, ...[head, ...rows].map((cells) => `  ${line(cells)}`)];
}

/** @returns A Markdown table of all scenarios. */
export function scenarioMarkdown({ title, unavailable, primary, metrics, servers }: ScenarioResult): string[] {
  const heading = ['', `### ${title}`, ''];
  if (unavailable !== undefined) return [...heading, `Not available: ${unavailable}.`];
  const columns = columnsOf(primary, metrics, servers);
  const withRatio = servers.length > 1;
  const ratio = withRatio ? [ratioHeading(servers)] : [];
  const head = ['server', ...columns.map((metric) => METRICS[metric].heading), ...ratio];
  const absent = servers.filter(({ problem }) => problem !== undefined);
  return [
    ...heading,
    row(head),
    row(head.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...servers
      .filter(({ problem }) => problem === undefined)
      .map((server) =>
        row([
          server.name === SEAWALL ? `**${server.title}**` : server.title,
          ...columns.map((metric) => show(metric, server.medians[metric])),
          ...(withRatio ? [ratioText(server.ratios[primary])] : []),
        ]),
      ),
    ...(absent.length > 0 ? ['', absent.map(({ title: who, problem }) => `${who}: ${problem}.`).join(' ')] : []),
  ];
}

export function goalLines(goals: readonly GoalResult[]): string[] {
  return [
    'Goals',
    ...goals.map(({ id, what, goal, shown, isReached }) => {
      const verdict = isReached === null ? '' : isReached ? 'reached' : 'NOT REACHED';
      return `  ${id.padEnd(3)} ${what.padEnd(50)} ${goal.padStart(15)}  ${shown.padStart(15)}  ${verdict}`.trimEnd();
    }),
  ];
}

export function goalMarkdown(goals: readonly GoalResult[]): string[] {
  return [
    row(['', 'what', 'goal', 'measured', 'reached']),
    row(['---', '---', '---:', '---:', '---']),
    ...goals.map(({ id, what, goal, shown, isReached }) =>
      row([id, what, goal, shown, isReached === null ? '' : isReached ? 'yes' : '**no**']),
    ),
  ];
}

/** Beyond that, another program was busy on the server's processor, in percent. */
const MOST_OTHERS_PERCENT = 10;

/** @returns A warning when the machine was busy with something else. */
export function disturbance(scenarios: readonly ScenarioResult[]): string | undefined {
  const disturbed = scenarios.filter(({ servers }) =>
    servers.some(
      ({ medians: { othersPercent = 0, heldPercent = 0 } }) =>
        Math.max(othersPercent, heldPercent) > MOST_OTHERS_PERCENT,
    ),
  );
  if (disturbed.length === 0) return undefined;
  const names = disturbed.map(({ name }) => name).join(', ');
  return `Others took more than ${MOST_OTHERS_PERCENT} % of a processor in ${names}: run these again on a quiet machine.`;
}

/** One paragraph: what was measured, where and when. */
export function provenance({ date, commit, isChanged, machine, versions, rounds, seconds }: Results): string {
  const { processor, cores, memoryBytes, system, node, isPinned } = machine;
  const servers = Object.entries(versions).flatMap(([name, version]) =>
    version === null ? [] : [`${name} ${version}`],
  );
  return [
    `Commit ${commit}${isChanged ? ' with changes' : ''}, ${date.slice(0, 10)}, on ${processor}, ${cores} cores,`,
    `${Math.round(memoryBytes / 2 ** 30)} GiB, ${system}, Node ${node}; ${isPinned ? 'pinned' : 'not pinned'};`,
    `${rounds} rounds of ${seconds} s. ${servers.join(', ')}.`,
  ].join(' ');
}

/** Columns of the table: the primary metric first, without metrics that no server has. */
function columnsOf(primary: Metric, metrics: readonly Metric[], servers: readonly ServerResult[]): Metric[] {
  return [primary, ...metrics].filter((metric) => servers.some(({ medians }) => medians[metric] !== undefined));
}

function ratioHeading(servers: readonly ServerResult[]): string {
  return servers.length > 1 ? 'ratio (least–most)' : '';
}

function ratioText(ratio: Spread | undefined): string {
  if (ratio === undefined) return '';
  return `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
