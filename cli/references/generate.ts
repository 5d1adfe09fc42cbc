/**
 * Reference pages made from tables in code (`npm run docs:references`). test/cli/references.test.ts fails when a page
 * and its tables differ.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { cacheStatusPage } from './cache-status-page.ts';
import { cliPage } from './cli-page.ts';
import { errorsPage } from './errors-page.ts';
import { metricsPage } from './metrics-page.ts';

/** A page and the text that it should hold. */
export interface ReferencePage {
  readonly url: URL;
  readonly content: string;
}

/** Returns every reference page as it should be. */
export function referencePages(): ReferencePage[] {
  const pages = { cli: cliPage, errors: errorsPage, 'cache-status': cacheStatusPage, metrics: metricsPage };
  return Object.entries(pages).map(([name, page]) => ({
    url: new URL(`../../docs/${name}.md`, import.meta.url),
    content: page(),
  }));
}

if (import.meta.main) {
  for (const { url, content } of referencePages()) writeFileSync(url, content);
}
