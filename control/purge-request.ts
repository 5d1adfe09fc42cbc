/**
 * From what a call names to what goes into the journal: every name is looked
 * at, and all errors are reported at once.
 * @module
 */
import { nearest } from '../config/nearest.ts';
import type { SelectorKind } from '../journal/journal.ts';
import { ApiError, type FieldProblem } from './errors.ts';
import { MAX_SELECTORS, type PurgeRequest } from './schemas.ts';
import {
  everythingSelector,
  hostSelectors,
  patternSelectors,
  prefixSelectors,
  type Selector,
  SelectorError,
  tagSelectors,
  urlSelectors,
  variantSelectors,
} from './selectors.ts';
import type { SiteDirectory } from './site-directory.ts';
import { ALL_SITES, maySite, type ScopeKind, type TokenScope } from './tokens.ts';

/** A selector, and what in the request asked for it. */
export interface Named {
  readonly selector: Selector;
  readonly pointer: string;
}

const LISTS = ['files', 'tags', 'prefixes', 'patterns', 'hosts', 'surrogate_keys'] as const;

/** Maximum number of members of an object in a body; valid ones have far fewer. */
const MAX_KEYS = 100;

/**
 * Rejects bodies with too many members. Runs before validation, whose time grows with each member and blocks the event
 * loop.
 *
 * @throws {ApiError} `too_many_selectors`, `invalid_request`.
 */
export function checkCount(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const lengths = LISTS.map((name) => {
    const value = (body as Record<string, unknown>)[name];
    return { name, length: Array.isArray(value) ? value.length : 0 };
  });
  const sum = lengths.reduce((total, { length }) => total + length, 0);
  if (sum > MAX_SELECTORS) {
    throw new ApiError('too_many_selectors', {
      detail: `There are ${sum}; one call may name ${MAX_SELECTORS}.`,
      errors: lengths
        .filter(({ length }) => length > 0)
        .map(({ name, length }) => ({
          pointer: `/${name}`,
          detail: `${length} of ${sum}`,
          fix: `Send them in calls of at most ${MAX_SELECTORS}, or purge a tag, a prefix or a host that takes them all.`,
        })),
    });
  }
  checkKeys('', body);
  const { files } = body as { files?: unknown };
  if (!Array.isArray(files)) return;
  files.forEach((file: { headers?: unknown } | null, index) => {
    checkKeys(`/files/${index}`, file);
    checkKeys(`/files/${index}/headers`, file?.headers);
  });
}

function checkKeys(pointer: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const { length } = Object.keys(value);
  if (length <= MAX_KEYS) return;
  const [detail, fix] = [`it has ${length} members`, `Send at most ${MAX_KEYS}.`];
  throw new ApiError('invalid_request', { errors: [{ pointer, detail, fix }] });
}

/**
 * @returns Distinct ones, in the order of the request.
 * @throws {ApiError} `invalid_request` when nothing is named, `unpurgeable` with everything that cannot be purged.
 */
export function selectorsOf(request: PurgeRequest, sites: SiteDirectory): Named[] {
  const { site, files = [], tags = [], prefixes = [], patterns = [], hosts = [] } = request;
  const problems: FieldProblem[] = [];
  const named = new Map<string, Named>();
  const take = (pointer: string, select: () => Selector[]): void => {
    try {
      for (const selector of select()) {
        checkSite(selector, site);
        const key = `${selector.kind}\n${selector.site}\n${selector.selector}`;
        if (!named.has(key)) named.set(key, { selector, pointer });
      }
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      problems.push({ pointer, detail: error.message, fix: error.fix });
    }
  };

  if (site !== undefined && !sites.names.has(site)) {
    const near = nearest(site, [...sites.names]);
    problems.push({
      pointer: '/site',
      detail: 'there is no site of this name',
      fix: near === undefined ? 'Write the `name` that a site has in its file.' : `Did you mean ${near}?`,
    });
    throw new ApiError('unpurgeable', { errors: problems });
  }
  files.forEach((file, index) => {
    take(`/files/${index}`, () =>
      typeof file === 'string' ? urlSelectors(file, sites) : variantSelectors(file.url, file.headers, sites),
    );
  });
  tags.forEach((tag, index) => {
    take(`/tags/${index}`, () => {
      if (site === undefined) throw new SelectorError('a tag belongs to a site', 'Add `site`.');
      return tagSelectors(tag, site);
    });
  });
  prefixes.forEach((prefix, index) => {
    take(`/prefixes/${index}`, () => prefixSelectors(prefix, sites));
  });
  patterns.forEach((pattern, index) => {
    take(`/patterns/${index}`, () => patternSelectors(pattern, sites));
  });
  hosts.forEach((host, index) => {
    take(`/hosts/${index}`, () => hostSelectors(host, sites));
  });
  if (request.purge_everything) take('/purge_everything', () => [everythingSelector(site)]);

  if (problems.length > 0) throw new ApiError('unpurgeable', { errors: problems });
  if (named.size === 0) {
    const fix = 'Name something in `files`, `tags`, `prefixes`, `patterns` or `hosts`, or set `purge_everything`.';
    throw new ApiError('invalid_request', { errors: [{ pointer: '', detail: 'nothing is named', fix }] });
  }
  return [...named.values()];
}

/** Kind of selector → what a token has to be allowed. */
const SCOPES: Readonly<Record<SelectorKind, ScopeKind>> = {
  url: 'url',
  variant: 'url',
  tag: 'tag',
  prefix: 'prefix',
  pattern: 'prefix',
  host: 'host',
  site: 'everything',
  everything: 'everything',
};

/** @throws {ApiError} `forbidden` with everything that the token may not purge. */
export function checkScope(scope: TokenScope, named: readonly Named[]): void {
  const problems = named.flatMap(({ selector: { kind, site }, pointer }): FieldProblem[] => {
    const needed = SCOPES[kind];
    if (!scope.kinds.includes(needed)) {
      const fix = `Use a token with the kind ${needed}; this one has ${scope.kinds.join(', ') || 'none'}.`;
      return [{ pointer, detail: `this token may not purge by ${needed}`, fix }];
    }
    if (maySite(scope, site)) return [];
    const what = site === ALL_SITES ? 'every site at once' : `the site ${site}`;
    const fix = `Use a token for ${what}; this one is for ${scope.sites.join(', ')}.`;
    return [{ pointer, detail: `this token may not purge ${what}`, fix }];
  });
  if (problems.length > 0) throw new ApiError('forbidden', { errors: problems });
}

function checkSite({ site }: Selector, wanted: string | undefined): void {
  if (wanted === undefined || site === wanted) return;
  throw new SelectorError(`it is of the site ${site}`, `Leave it out, or call for ${site}.`);
}
