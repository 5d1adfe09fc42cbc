/**
 * Keeps a page up to date, and draws its charts. Without it the page is what the server has rendered.
 * @module
 */
import { render } from 'preact';
import { page } from '../views/pages.js';
import { drawCharts } from './charts.js';

/** @typedef {import('../model.ts').AnyModel} AnyModel */

const live = /** @type {HTMLElement} */ (document.querySelector('#live'));
const connection = /** @type {HTMLElement} */ (document.querySelector('#connection'));
const RETRY_MS = 15_000;
/** No event for so long: the connection is lost, though the browser has not noticed. */
const SILENCE_MS = 8_000;

/** @type {AnyModel | undefined} */
let newest;
let lastEvent = Date.now();
let isPaused = false;

/** @param {AnyModel} model */
function show(model) {
  newest = model;
  // At first over what the server has rendered, which is the same.
  render(page(model), live);
  if (model.page === 'overview') drawCharts(live, model.chart, model.filter.window);
  connection.textContent = `live, ${model.at.slice(11, 19)} UTC`;
}

/** @type {EventSource | undefined} */
let events;

function connect() {
  events?.close();
  if (document.body.dataset['page'] === 'explain') return;
  const query = new URLSearchParams(location.search);
  query.set('page', document.body.dataset['page'] ?? '');
  events = new EventSource(`/dashboard/live?${query}`);
  events.onmessage = ({ data }) => {
    lastEvent = Date.now();
    const model = JSON.parse(data);
    if (!isPaused) show(model);
    else newest = model;
  };
  events.addEventListener('end', () => location.reload()); // the session has ended: the server says what to do
  events.onerror = () => {
    connection.textContent = 'not connected, trying again';
    if (events?.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
}

setInterval(() => {
  if (Date.now() - lastEvent > SILENCE_MS && !isPaused) connection.textContent = 'no news from the control node';
}, 1_000);

// A page that nobody sees costs nothing.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') events?.close();
  else connect();
});

// What is being selected to be copied stays.
document.addEventListener('selectionchange', () => {
  const selection = document.getSelection();
  const wasPaused = isPaused;
  isPaused = selection !== null && !selection.isCollapsed && live.contains(selection.anchorNode);
  if (isPaused) connection.textContent = 'paused while text is selected';
  else if (wasPaused && newest !== undefined) show(newest);
});

for (const select of document.querySelectorAll('form.filter select')) {
  select.addEventListener('change', () => /** @type {HTMLSelectElement} */ (select).form?.requestSubmit());
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const plot of live.querySelectorAll('.uplot')) plot.remove();
  if (newest !== undefined) show(newest);
});

connect();
