/**
 * Pages of the dashboard: what changes with the network. Forms that people fill in are not part of it (forms.js).
 * @module
 */
import { bytes, count, duration, milliseconds, percent, time } from './format.js';
import { html } from './html.js';
import { bar, problemList, spark, state, table } from './parts.js';

/** @typedef {import('./html.js').Markup} Markup */
/** @typedef {import('../model.ts').AnyModel} AnyModel */
/** @typedef {import('../model.ts').Numbers} Numbers */
/** @typedef {import('../model.ts').NodeModel} NodeModel */
/** @typedef {import('../model.ts').RegionModel} RegionModel */
/** @typedef {import('../model.ts').SiteRow} SiteRow */
/** @typedef {import('../model.ts').CountRow} CountRow */

/** @param {AnyModel} model @returns {Markup} */
export function page(model) {
  switch (model.page) {
    case 'overview':
      return overview(model);
    case 'network':
      return network(model);
    case 'traffic':
      return traffic(model);
    case 'purges':
      return purges(model);
    case 'jobs':
      return jobs(model);
    case 'explain':
      return explain(model);
  }
}

/** @param {import('../model.ts').OverviewModel} model */
function overview({ numbers, chart, sites, regions, problems }) {
  return html`
    ${tiles(numbers)}
    ${problemList(problems)}
    <div class="charts">
      ${chartOf('requests', 'Requests a second', 'All, hits, and those that the origin saw', chart)}
      ${chartOf('ratio', 'Hit ratio', 'Share of requests in percent', chart)}
      ${chartOf('latency', 'Latency', '95 of 100 answers are complete within, in ms', chart)}
      ${chartOf('errors', 'Errors a second', 'Answers with a status of 500 or more', chart)}
    </div>
    ${siteTable(sites)}
    ${map(regions)}`;
}

/** @param {Numbers} numbers */
function tiles({ requests, bytes: size, hitRatio, byteHitRatio, offload, origin, errorRatio, p50, p95, p99 }) {
  const rows = [
    ['Requests', `${count(requests)}/s`, `${bytes(size)}/s`],
    ['Hit ratio', percent(hitRatio), `${percent(byteHitRatio)} of bytes`],
    ['Origin offload', percent(offload), `${count(origin)}/s reach it`],
    ['Latency, median', duration(p50), `95 %: ${duration(p95)}, 99 %: ${duration(p99)}`],
    ['Errors', percent(errorRatio), 'status 500 and up'],
  ];
  return html`<dl class="tiles">${rows.map(
    ([name, value, more]) => html`<div><dt>${name}</dt><dd><strong>${value}</strong><span>${more}</span></dd></div>`,
  )}</dl>`;
}

/** @param {string} name @param {string} title @param {string} about @param {import('../model.ts').Chart} chart */
function chartOf(name, title, about, chart) {
  const values =
    name === 'errors'
      ? chart.errors
      : name === 'latency'
        ? chart.p95.map((ms) => ms ?? 0)
        : name === 'ratio'
          ? ratios(chart)
          : chart.requests;
  return html`<figure class="chart" key=${name}>
    <figcaption><strong>${title}</strong> <span>${about}</span></figcaption>
    <div class="plot" data-chart=${name} role="img" aria-label=${`${title}: the newest value is ${count(values.at(-2) ?? 0)}`}></div>
    <noscript>${spark(values)}</noscript>
  </figure>`;
}

/** @param {import('../model.ts').Chart} chart */
function ratios({ requests, hits }) {
  return requests.map((all, at) => (all === 0 ? 0 : ((hits[at] ?? 0) / all) * 100));
}

/** @param {readonly SiteRow[]} sites */
function siteTable(sites) {
  return table(
    'Sites',
    [
      { title: 'Site', heads: true, of: ({ site }) => site || '(no site)' },
      { title: 'Region', of: ({ region }) => region },
      { title: 'Requests', numeric: true, of: ({ numbers }) => `${count(numbers.requests)}/s` },
      { title: 'Lately', of: ({ spark: values }) => spark(values) },
      { title: 'Hit ratio', of: ({ numbers }) => bar(numbers.hitRatio, percent(numbers.hitRatio)) },
      { title: 'of bytes', numeric: true, of: ({ numbers }) => percent(numbers.byteHitRatio) },
      { title: 'Median', numeric: true, of: ({ numbers }) => duration(numbers.p50) },
      { title: '99 %', numeric: true, of: ({ numbers }) => duration(numbers.p99) },
      { title: 'Errors', numeric: true, of: ({ numbers }) => percent(numbers.errorRatio) },
      { title: 'Bytes', numeric: true, of: ({ numbers }) => `${bytes(numbers.bytes)}/s` },
    ],
    sites,
    { empty: 'No node has reported a request in this time.' },
  );
}

/** @param {readonly RegionModel[]} regions */
function map(regions) {
  return html`<section class="panel" aria-labelledby="map"><h2 id="map">Network</h2>
    <div class="map">${regions.map(
      ({
        name,
        health,
        state: text,
        requests,
        drain,
        nodes,
      }) => html`<section class="region" aria-label=${`Region ${name}`}>
        <h3><span>${name}</span> ${state(health, text)} <span class="rate">${count(requests)}/s</span></h3>
        ${drain === null ? null : html`<p class="note">${drain}</p>`}
        <ul class="nodes">${nodes.map(nodeTile)}</ul>
      </section>`,
    )}</div></section>`;
}

/** @param {NodeModel} node */
function nodeTile({ name, role, health, state: text, lag, version, requests, hitRatio }) {
  return html`<li class=${`node ${health}`}>
    <span class="name">${name}</span><span class="role">${role}</span>
    ${state(health, text)}
    <span class="facts">${role === 'edge' ? `${count(requests)}/s, ${percent(hitRatio)} hits` : ''}</span>
    <span class="facts">${version ?? 'no version'}${lag ? `, ${lag} purges behind` : ''}</span>
  </li>`;
}

/** @param {import('../model.ts').NetworkModel} model */
function network({ regions, control, certificates, problems }) {
  /** @type {import('./parts.js').Column[]} */
  const columns = [
    { title: 'Node', heads: true, of: ({ name }) => name },
    { title: 'Role', of: ({ role }) => role },
    { title: 'State', of: ({ health, state: text }) => state(health, text) },
    { title: 'Journal lag', numeric: true, of: ({ lag }) => (lag === null ? '–' : String(lag)) },
    { title: 'Requests', numeric: true, of: ({ requests, role }) => (role === 'edge' ? `${count(requests)}/s` : '–') },
    { title: 'Hit ratio', numeric: true, of: ({ hitRatio }) => percent(hitRatio) },
    { title: 'Version', of: ({ version }) => version ?? '–' },
    {
      title: 'Config',
      of: ({ config, isOtherConfig }) =>
        html`<code>${config ?? '–'}</code>${isOtherConfig ? state('warn', 'other') : null}`,
    },
    { title: 'Memory', numeric: true, of: ({ memory }) => percent(memory) },
    { title: 'Disk', of: ({ disk }) => disk ?? '–' },
    { title: 'Threads', numeric: true, of: ({ workers }) => (workers === null ? '–' : String(workers)) },
    { title: 'Since', of: ({ since }) => time(since) },
  ];
  return html`
    ${problemList(problems)}
    ${map(regions)}
    ${table(
      'Config in force',
      [
        { title: 'Region', heads: true, of: ({ name }) => name },
        { title: 'File', of: ({ file }) => file ?? 'of another control node' },
        { title: 'Hash', of: ({ config }) => html`<code>${config ?? '–'}</code>` },
        {
          title: 'Nodes that run it',
          numeric: true,
          of: ({ nodes, config }) =>
            `${nodes.filter((/** @type {NodeModel} */ node) => node.config === config).length} of ${nodes.length}`,
        },
        { title: 'Others', of: (region) => othersOf(region) },
      ],
      regions,
      { empty: 'No region file is loaded.' },
    )}
    ${regions.map((region) => table(`Nodes of ${region.name}`, columns, region.nodes, { empty: 'The region has no nodes.' }))}
    ${table('Control nodes', columns, control, { empty: 'None has registered yet.' })}
    ${table(
      'Certificates',
      [
        { title: 'Of', heads: true, of: ({ name }) => name },
        { title: 'For', of: ({ what }) => what },
        { title: 'Days left', numeric: true, of: ({ health, days }) => state(health, String(days)) },
        { title: 'Ends', of: ({ expires }) => time(expires) },
      ],
      certificates,
      { empty: 'Neither a site nor a node has reported a certificate.' },
    )}`;
}

/** @param {RegionModel} region @returns {Markup} */
function othersOf({ config, nodes }) {
  const others = nodes.filter((node) => node.config !== null && node.config !== config);
  if (config === null || others.length === 0) return '–';
  return html`<ul class="plain">${others.map(({ name, config: own, version, since }) => html`<li>${state('warn', `${name} runs`)} <code>${own}</code>, version ${version}, since ${time(since)}</li>`)}</ul>`;
}

/** @param {import('../model.ts').TrafficModel} model */
function traffic({ sites, urls, misses, results, errors, failures }) {
  const shown = { title: 'Requests', numeric: true, of: (/** @type {CountRow} */ row) => count(row.count) };
  /** @param {number} at @param {string} title */
  const name = (at, title) => ({ title, of: (/** @type {CountRow} */ { names }) => names[at] || '–', wide: at === 0 });
  return html`
    ${siteTable(sites)}
    ${table('Top URLs', [name(0, 'URL'), name(1, 'Site'), shown], urls, { empty: 'Nothing was asked for in this time.', note: 'Estimated from samples. Queries are left out.' })}
    ${table('Top misses', [name(0, 'URL'), name(1, 'Site'), name(2, 'Reason'), shown], misses, { empty: 'No request went further than an edge in this time.', note: 'Reason for going forward, and why the answer was not stored.' })}
    ${table('Errors by cause', [name(0, 'Site'), name(1, 'Region'), name(2, 'Cause'), name(3, 'Status'), shown], errors, { empty: 'No answer had a status of 500 or more.' })}
    ${table('Failures upstream', [name(0, 'Node'), name(1, 'Error'), name(2, 'Cause'), { ...shown, title: 'Fills' }], failures, { empty: 'No fill has failed.' })}
    ${table('Answers by result', [name(0, 'Site'), name(1, 'Region'), name(2, 'Result'), name(3, 'Status'), shown], results, { empty: 'There were no answers in this time.' })}`;
}

/** @param {import('../model.ts').PurgesModel} model */
function purges({ purges: rows, purgers, problem }) {
  return html`
    ${table(
      'Purges',
      [
        { title: 'Time', of: (row) => time(row.time) },
        { title: 'What', heads: true, wide: true, of: ({ what, soft }) => html`${what}${soft ? ', soft' : ''}` },
        {
          title: 'Receipt',
          of: ({ status, applied, nodes }) =>
            state(status === 'applied' ? 'ok' : 'warn', `${status}, ${applied} of ${nodes}`),
        },
        { title: 'Slowest', numeric: true, of: ({ slowestMs }) => milliseconds(slowestMs) },
        { title: 'Waits for', of: ({ waiting }) => waiting.join(', ') || '–' },
        { title: 'By', of: ({ who }) => who },
        { title: 'Reason', of: ({ reason }) => reason || '–' },
      ],
      rows,
      { empty: problem ?? 'The journal has no purges.' },
    )}
    ${table(
      'Top purgers',
      [
        { title: 'Who', heads: true, of: ({ names }) => names[0] },
        { title: 'Purges', numeric: true, of: (row) => count(row.count) },
      ],
      purgers,
      {
        empty: 'Nobody has purged anything in 24 hours.',
        note: 'Of the last 24 hours, at most the newest 500 purges.',
      },
    )}`;
}

/** @param {import('../model.ts').JobsModel} model */
function jobs({ jobs: rows, problem }) {
  return table(
    'Jobs',
    [
      { title: 'Created', of: ({ created }) => time(created) },
      { title: 'Job', heads: true, of: ({ id }) => html`<code>${id}</code>` },
      { title: 'State', of: ({ health, state: text }) => state(health, text) },
      { title: 'Done', of: ({ done, total }) => bar(total === 0 ? 1 : done / total, `${done} of ${total}`) },
      { title: 'Outcomes', of: ({ counts }) => counts || '–' },
      { title: 'Sites', of: ({ sites }) => sites.join(', ') },
      { title: 'By', of: ({ by }) => by },
      { title: 'Reason', of: ({ reason }) => reason || '–' },
    ],
    rows,
    { empty: problem ?? 'There are no jobs. `seawall job warm` starts one.' },
  );
}

/** @param {import('../model.ts').ExplainModel} model */
function explain({ nodes, problem, url }) {
  if (problem !== null) return html`<p class="refusal" role="alert">${state('bad', problem)}</p>`;
  if (nodes === null) return null;
  return html`<p>What each node would do with <code class="url">${url}</code>:</p>
    ${nodes.map(
      ({ name, role, region, problem: why, lines }) => html`<section class="panel" aria-label=${`Node ${name}`}>
        <h2>${name} <small>${role}, ${region}</small></h2>
        ${why === null ? html`<dl class="explained">${lines.map(([key, text]) => html`<dt>${key}</dt><dd>${text}</dd>`)}</dl>` : html`<p>${state('bad', why)}</p>`}
      </section>`,
    )}`;
}
