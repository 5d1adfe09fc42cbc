/**
 * Parts that pages have in common: tables, states, small charts, the filter.
 * @module
 */
import { html } from './html.js';

/** @typedef {import('./html.js').Markup} Markup */
/** @typedef {import('../model.ts').Health} Health */
/** @typedef {import('../model.ts').AnyModel} AnyModel */
/** @typedef {{ title: string, of: (row: any) => Markup | Markup[], numeric?: boolean, heads?: boolean, wide?: boolean }} Column */

/** Signs that differ in their form, not by colour alone. @type {Record<Health, string>} */
const SIGNS = { ok: '●', warn: '▲', bad: '✕', unknown: '○' };

/** @param {Health} health @param {string} text @returns {Markup} */
export function state(health, text) {
  return html`<span class=${`state ${health}`}><span class="sign" aria-hidden="true">${SIGNS[health]}</span> ${text}</span>`;
}

/**
 * @param {string} title @param {readonly Column[]} columns @param {readonly any[]} rows
 * @param {{ empty: string, note?: string }} options @returns {Markup}
 */
export function table(title, columns, rows, { empty, note }) {
  const id = `t-${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
  return html`<div class="panel">
    <h2 id=${id}>${title}</h2>
    ${note === undefined ? null : html`<p class="note">${note}</p>`}
    ${
      rows.length === 0
        ? html`<p class="empty">${empty}</p>`
        : html`<div class="scroll" role="region" tabindex="0" aria-labelledby=${id}><table>
            <thead><tr>${columns.map(({ title: head, numeric }) => html`<th scope="col" class=${numeric ? 'n' : ''}>${head}</th>`)}</tr></thead>
            <tbody>${rows.map((row) => html`<tr>${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
          </table></div>`
    }
  </div>`;
}

/** @param {Column} column @param {unknown} row */
function cell({ of, numeric, heads, wide }, row) {
  const name = numeric ? 'n' : wide ? 'wide' : '';
  return heads ? html`<th scope="row" class=${name}>${of(row)}</th>` : html`<td class=${name}>${of(row)}</td>`;
}

/** A line that shows how numbers went. @param {readonly number[]} values @returns {Markup} */
export function spark(values) {
  const most = Math.max(...values, 1e-9);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values
    .map((value, at) => `${(at * step).toFixed(1)},${(19 - (value / most) * 18).toFixed(1)}`)
    .join(' ');
  return html`<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <polyline points=${points} /></svg>`;
}

/** A bar beside its number, which stands in the text. @param {number | null} share @param {string} text @returns {Markup} */
export function bar(share, text) {
  return html`<span class="bar"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <rect class="back" width="100" height="6" /><rect class="fill" width=${Math.round((share ?? 0) * 100)} height="6" /></svg>
    <span>${text}</span></span>`;
}

/** @param {readonly string[]} problems @returns {Markup} */
export function problemList(problems) {
  if (problems.length === 0) return html`<p class="all-well">${state('ok', 'Nothing is wrong.')}</p>`;
  return html`<section class="problems" aria-labelledby="problems"><h2 id="problems">${problems.length === 1 ? 'One thing is wrong' : `${problems.length} things are wrong`}</h2>
    <ul>${problems.map((problem) => html`<li>${state('warn', problem)}</li>`)}</ul></section>`;
}

/** @param {Pick<AnyModel, 'filter' | 'choices'>} model @param {string} path @returns {Markup} */
export function filterForm({ filter, choices }, path) {
  /** @param {string} name @param {string} label @param {readonly string[]} values @param {string} chosen @param {string} all */
  const choice = (name, label, values, chosen, all) => html`<label>${label}
    <select name=${name}>
      <option value="" selected=${chosen === ''}>${all}</option>
      ${values.map((value) => html`<option value=${value} selected=${value === chosen}>${value}</option>`)}
    </select></label>`;
  return html`<form class="filter" method="get" action=${path}>
    ${choice('site', 'Site', choices.sites, filter.site, 'all sites')}
    ${choice('region', 'Region', choices.regions, filter.region, 'all regions')}
    <label>Time <select name="window">
      <option value="live" selected=${filter.window === 'live'}>5 minutes, live</option>
      <option value="day" selected=${filter.window === 'day'}>24 hours</option>
    </select></label>
    <button type="submit">Show</button>
  </form>`;
}
