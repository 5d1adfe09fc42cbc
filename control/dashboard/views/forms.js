/**
 * Forms of the dashboard, and what surrounds its pages.
 * @module
 */
import { html } from './html.js';
import { filterForm, state } from './parts.js';

/** @typedef {import('./html.js').Markup} Markup */
/** @typedef {import('../model.ts').AnyModel} AnyModel */
/** @typedef {import('../model.ts').Reader} Reader */

const PAGES = [
  ['overview', '', 'Overview'],
  ['network', 'network', 'Network'],
  ['traffic', 'traffic', 'Traffic'],
  ['purges', 'purges', 'Purges'],
  ['jobs', 'jobs', 'Jobs'],
  ['explain', 'explain', 'Explain'],
];

/** @param {string} name */
export function titleOf(name) {
  return PAGES.find(([page]) => page === name)?.[2] ?? name;
}

/** @param {string} name */
export function pathOf(name) {
  return `/dashboard/${PAGES.find(([page]) => page === name)?.[1] ?? ''}`;
}

/** @param {Reader} reader @param {AnyModel} model @param {Markup} live @param {Markup} notice @param {string} id For what is sent once. @returns {Markup} */
export function frame(reader, model, live, notice, id) {
  const { page } = model;
  const isFiltered = page === 'overview' || page === 'traffic';
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <p class="brand">Seawall</p>
      <nav aria-label="Pages">${PAGES.map(
        ([name, path, title]) =>
          html`<a href=${`/dashboard/${path}`} aria-current=${name === page ? 'page' : null}>${title}</a>`,
      )}</nav>
      <p class="live" id="connection" role="status">as of ${model.at.slice(11, 19)} UTC</p>
      <form method="post" action="/dashboard/sign-out" class="sign-out">
        ${hidden(reader)}<span>${reader.name}</span> <button type="submit">Sign out</button>
      </form>
    </header>
    <main id="main">
      <h1>${titleOf(page)}</h1>
      ${notice}
      ${isFiltered ? filterForm(model, pathOf(page)) : null}
      ${page === 'purges' ? purgeForm(reader, model, id) : null}
      ${page === 'explain' ? explainForm(model.page === 'explain' ? model.url : '') : null}
      <div id="live">${live}</div>
      ${page === 'network' ? drainForms(reader, model) : null}
    </main>`;
}

/** @param {Reader} reader */
function hidden({ csrf }) {
  return html`<input type="hidden" name="csrf" value=${csrf} />`;
}

const KINDS = [
  ['url', 'files', 'URLs'],
  ['tag', 'tags', 'Tags'],
  ['prefix', 'prefixes', 'Prefixes'],
  ['host', 'hosts', 'Hosts'],
  ['everything', 'purge_everything', 'Everything of the site'],
];

/** @param {Reader} reader @param {AnyModel} model @param {string} id */
function purgeForm(reader, { choices }, id) {
  const kinds = KINDS.filter(([kind]) => kind !== undefined && reader.purges.includes(kind));
  if (kinds.length === 0) return html`<p class="note">This token may read, not purge.</p>`;
  return html`<section class="panel" aria-labelledby="purge"><h2 id="purge">Purge</h2>
    <form class="action" method="post" action="/dashboard/purges">
      ${hidden(reader)}<input type="hidden" name="once" value=${id} />
      <label>What <select name="kind">${kinds.map(([, name, title]) => html`<option value=${name}>${title}</option>`)}</select></label>
      <label>Site <select name="site"><option value="">by host</option>${choices.sites.map((site) => html`<option value=${site}>${site}</option>`)}</select></label>
      <label class="all">Names, one a line <textarea name="names" rows="3" spellcheck="false" placeholder="https://www.example.com/news"></textarea></label>
      <label>Reason <input name="reason" maxlength="200" autocomplete="off" /></label>
      <label class="check"><input type="checkbox" name="soft" value="1" /> Soft: stale, not gone</label>
      <label class="check"><input type="checkbox" name="dry_run" value="1" /> Dry run: only count</label>
      <button type="submit">Purge</button>
    </form></section>`;
}

/** @param {Reader} reader @param {AnyModel} model */
function drainForms(reader, model) {
  if (model.page !== 'network') return null;
  const regions = model.regions.filter(({ isDrainable }) => isDrainable);
  if (!reader.drains || regions.length === 0) return null;
  return html`<section class="panel" aria-labelledby="drain"><h2 id="drain">Drain</h2>
    <p class="note">A drained region gets no new visitors; those that it has may stay.</p>
    ${regions.map(
      ({
        name,
        isDrained,
        drain,
      }) => html`<form class="action line" method="post" action="/dashboard/regions" aria-label=${`Region ${name}`}>
        ${hidden(reader)}<input type="hidden" name="region" value=${name} /><input type="hidden" name="action" value=${isDrained ? 'undrain' : 'drain'} />
        <strong>${name}</strong> ${isDrained ? state('warn', drain ?? 'drained') : state('ok', 'takes visitors')}
        ${isDrained ? null : html`<label>Reason <input name="reason" maxlength="200" autocomplete="off" /></label>`}
        <button type="submit">${isDrained ? `Let visitors come back to ${name}` : `Drain ${name}`}</button>
      </form>`,
    )}</section>`;
}

/** @param {string} url */
function explainForm(url) {
  return html`<form class="action" method="get" action="/dashboard/explain">
    <label class="all">URL <input name="url" type="url" required maxlength="4096" value=${url} placeholder="https://www.example.com/news" /></label>
    <button type="submit">Explain</button></form>`;
}

/** @param {string | null} refusal @returns {Markup} */
export function signIn(refusal) {
  return html`<main id="main" class="sign-in">
    <h1>Seawall</h1>
    ${refusal === null ? null : html`<p class="refusal" role="alert">${state('bad', refusal)}</p>`}
    <form method="post" action="/dashboard/sign-in">
      <label>Token <input name="token" type="password" required autocomplete="off" autofocus spellcheck="false" maxlength="128" /></label>
      <button type="submit">Sign in</button>
    </form>
    <p class="note">One that may read: <code>seawall token create NAME --all-sites --read</code></p>
  </main>`;
}

/** @param {string} title @param {readonly string[]} lines @returns {Markup} */
export function refused(title, lines) {
  return html`<main id="main" class="sign-in"><h1>${title}</h1>${lines.map((line) => html`<p>${line}</p>`)}
    <p><a href="/dashboard/">Back to the dashboard</a></p></main>`;
}

/** @param {import('../model.ts').Health} health @param {string} text @returns {Markup} */
export function notice(health, text) {
  return html`<p class="notice" role="status">${state(health, text)}</p>`;
}
