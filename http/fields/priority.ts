/**
 * Priority of a request where requests wait: a page that a visitor has opened comes before what pages load, and both
 * before work that no visitor waits for.
 * @module
 */
import { fieldValue, type RawHeaders } from './headers.ts';

/** In order of precedence. */
export const PRIORITIES = ['navigation', 'normal', 'background'] as const;

export type Priority = (typeof PRIORITIES)[number];

/** Returns whether the text names one. */
export function isPriority(text: unknown): text is Priority {
  return (PRIORITIES as readonly unknown[]).includes(text);
}

/**
 * Returns the priority of a visitor's request: navigations as browsers mark them (Fetch Metadata, `Sec-Fetch-Mode`),
 * what is fetched in case it is needed (`Sec-Purpose`, and the older `Purpose`), and all else.
 */
export function visitorPriority(headers: RawHeaders): Priority {
  const purpose = fieldValue(headers, 'sec-purpose') ?? fieldValue(headers, 'purpose');
  if (purpose !== undefined && /^[\t ]*prefetch\b/i.test(purpose)) return 'background';
  return fieldValue(headers, 'sec-fetch-mode') === 'navigate' ? 'navigation' : 'normal';
}
