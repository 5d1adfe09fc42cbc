/**
 * Markup of the dashboard, the same at the server and in the browser: text and attributes are escaped by Preact.
 * @module
 */
import htm from 'htm';
import { h } from 'preact';

/** @typedef {import('preact').ComponentChild} Markup */

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => Markup} */
// @ts-expect-error -- its types are those of a CommonJS module
export const html = htm.bind(h);
