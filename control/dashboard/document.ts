/**
 * Documents of the dashboard: HTML without a script or a style of its own, and the fields that keep it so.
 * @module
 */
import { renderToString } from 'preact-render-to-string';
import type { Markup } from './views/html.js';

/** Policy of pages: they load from here only, run nothing inline, and cannot be framed. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Fields of every answer of the dashboard. */
export const FIELDS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // Another page learns nothing of an address; forms still say where they come from.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

const ASSETS = '/dashboard/assets';

export interface DocumentOptions {
  readonly title: string;
  /** Page that is kept up to date; absent: none. */
  readonly page?: string;
  readonly body: Markup;
}

const NAME = /^[a-z]+$/;

export function documentOf({ title, page, body }: DocumentOptions): string {
  const isLive = page !== undefined && NAME.test(page);
  const scripts = isLive
    ? `<link rel="stylesheet" href="${ASSETS}/packages/uplot.css"><script type="module" src="${ASSETS}/browser/main.js"></script>${PRELOADED}
<noscript><meta http-equiv="refresh" content="15"></noscript>`
    : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${renderToString(`${title} · Seawall` as never)}</title>
<link rel="icon" href="${ASSETS}/icon.svg"><link rel="stylesheet" href="${ASSETS}/style.css">${scripts}</head>
<body${isLive ? ` data-page="${page}"` : ''}>${renderToString(body as never)}</body></html>
`;
}

/** Modules that others import: a browser need not find out one after the other. */
const PRELOADED = [
  'browser/charts.js',
  'views/html.js',
  'views/pages.js',
  'views/parts.js',
  'views/format.js',
  'packages/preact.js',
  'packages/htm.js',
  'packages/uplot.js',
]
  .map((path) => `<link rel="modulepreload" href="${ASSETS}/${path}">`)
  .join('');
