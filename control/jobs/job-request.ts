/**
 * From what a call names to the steps of a job: every URL is looked at, and all errors are reported at once.
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { nearest } from '../../config/nearest.ts';
import { ApiError, type FieldProblem } from '../errors.ts';
import { SelectorError, servedUrl } from '../selectors.ts';
import type { SiteDirectory } from '../site-directory.ts';
import { ALL_SITES, JOB, maySite, type TokenScope } from '../tokens.ts';
import { MAX_JOB_URLS } from './schemas.ts';

/** URLs that are looked at before other calls have their turn. */
const URLS_A_TURN = 500;

const MAX_PROBLEMS = 100;

/** URLs of a job, and the sites that they are of. */
export interface NamedUrls {
  readonly urls: readonly string[];
  readonly sites: readonly string[];
}

/**
 * Rejects a body with too many URLs. Runs before validation, whose time grows with each of them.
 *
 * @throws {ApiError} `too_many_urls`.
 */
export function checkUrlCount(body: unknown): void {
  const urls = (body as { urls?: unknown } | null)?.urls;
  if (!Array.isArray(urls) || urls.length <= MAX_JOB_URLS) return;
  throw new ApiError('too_many_urls', {
    errors: [
      {
        pointer: '/urls',
        detail: `there are ${urls.length}; one job may have ${MAX_JOB_URLS}`,
        fix: `Send them in jobs of at most ${MAX_JOB_URLS}.`,
      },
    ],
  });
}

/**
 * @returns Distinct URLs, in the order of the request.
 * @throws {ApiError} `unfetchable` with those that no site serves, `forbidden` with those that the token is not for.
 */
export async function urlsOf(named: readonly string[], sites: SiteDirectory, scope: TokenScope): Promise<NamedUrls> {
  const urls = new Set<string>();
  const names = new Set<string>();
  const unfetchable: FieldProblem[] = [];
  const forbidden: FieldProblem[] = [];
  for (const [index, text] of named.entries()) {
    if (index % URLS_A_TURN === URLS_A_TURN - 1) await nextTurn();
    const pointer = `/urls/${index}`;
    try {
      const served = servedUrl(text, sites);
      urls.add(served.url);
      for (const site of served.sites) {
        if (names.has(site)) continue;
        if (maySite(scope, site)) names.add(site);
        else forbidden.push({ pointer, detail: `this token is not for the site ${site}`, fix: fixOf(site, scope) });
      }
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      unfetchable.push({ pointer, detail: error.message, fix: error.fix });
    }
    if (unfetchable.length >= MAX_PROBLEMS || forbidden.length >= MAX_PROBLEMS) break;
  }
  if (unfetchable.length > 0) throw new ApiError('unfetchable', { errors: unfetchable });
  if (forbidden.length > 0) throw new ApiError('forbidden', { errors: forbidden });
  return { urls: [...urls], sites: [...names] };
}

function fixOf(site: string, { sites }: TokenScope): string {
  return `Use a token for ${site}; this one is for ${sites.join(', ')}.`;
}

/**
 * @param known - Names of all regions.
 * @returns Names of the regions that are wanted.
 * @throws {ApiError} `unfetchable`.
 */
export function regionsOf(wanted: readonly string[] | undefined, known: readonly string[]): readonly string[] {
  if (wanted === undefined) return known;
  const errors = wanted.flatMap((name, index): FieldProblem[] => {
    if (known.includes(name)) return [];
    const near = nearest(name, known);
    const fix = near === undefined ? `The regions are ${known.join(', ')}.` : `Did you mean ${near}?`;
    return [{ pointer: `/regions/${index}`, detail: 'there is no region of this name with edges', fix }];
  });
  if (errors.length > 0) throw new ApiError('unfetchable', { errors });
  return [...new Set(wanted)];
}

/** @throws {ApiError} `forbidden` unless the token may start and end jobs. */
export function checkMayRun(scope: TokenScope): void {
  if (scope.kinds.includes(JOB)) return;
  throw new ApiError('forbidden', {
    detail: `This token may not start or end jobs; use one that was made with --kind ${JOB}.`,
  });
}

/** Returns whether the token is for all sites of a job. */
export function mayAll(scope: TokenScope, sites: readonly string[]): boolean {
  return sites.length === 0 ? maySite(scope, ALL_SITES) : sites.every((site) => maySite(scope, site));
}
