/**
 * Index of purges in the ledger: for each selector the newest number that named it.
 * @module
 */
import { hash } from 'node:crypto';
import type { RawHeaders } from '../http/fields/headers.ts';
import { KeyMap } from './key-map.ts';
import { isMatch } from './url-pattern.ts';
import { matchesVary, type VaryMember } from './vary.ts';

/** One record of the journal, as far as it matters here. */
export interface PurgeRecord {
  readonly seq: number;
  readonly site: string;
  readonly kind: 'url' | 'variant' | 'tag' | 'prefix' | 'pattern' | 'host' | 'site' | 'everything';
  /**
   * url: `//host/path?query`; prefix: `//host/path`; pattern: `//host/*.css`; tag; host. variant: JSON,
   * `{"url":"//host/path","headers":["accept-language","de"]}`, the response
   * that a request with these headers selects.
   */
  readonly selector: string;
  readonly soft: boolean;
}

/** Names by which a purge can match a response. */
export interface Purgeable {
  readonly site: string;
  readonly host: string;
  /** Host and port. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
}

/** Newest numbers that named one selector. */
export interface Mark {
  hard: number;
  soft: number;
}

interface PatternMark extends Mark {
  readonly pattern: string;
}

interface VariantMark extends Mark {
  /** The same one again moves the same mark. */
  readonly name: string;
  readonly headers: RawHeaders;
}

/** A URL with more variants purged one by one counts as purged whole. */
const MAX_VARIANT_MARKS = 32;

/** A site's oldest pattern beyond these counts as a purge of the whole site. */
export const MAX_PATTERNS = 32;

/** A variant that is told by more characters of fields stands for its whole URL. */
const MAX_VARIANT_CHARS = 512;

/**
 * Longer selectors are known by their hash: a mark's memory is bounded, and so is that of all marks, by their number.
 */
const MAX_NAME_CHARS = 256;

/** Bytes that a mark costs besides the characters of its selector. */
const MARK_BYTES = 130;

type Entries<T> = readonly (readonly [name: string, value: T])[];

/** Content of an index, for another thread. */
export interface PurgeIndexState {
  readonly newest: number;
  readonly everything: Mark;
  readonly urls: Entries<Mark>;
  readonly tags: Entries<Mark>;
  readonly hosts: Entries<Mark>;
  readonly sites: Entries<Mark>;
  readonly variants: Entries<readonly VariantMark[]>;
  readonly patterns: Entries<readonly PatternMark[]>;
  readonly prefixes: readonly (readonly [length: number, marks: Entries<Mark>])[];
}

export class PurgeIndex {
  readonly #everything: Mark = { hard: 0, soft: 0 };
  readonly #urls = new KeyMap<Mark>();
  readonly #tags = new KeyMap<Mark>();
  readonly #hosts = new KeyMap<Mark>();
  readonly #sites = new KeyMap<Mark>();
  /** By URL. */
  readonly #variants = new KeyMap<readonly VariantMark[]>();
  /** By site; those that were named last come last. */
  readonly #patterns = new KeyMap<readonly PatternMark[]>();
  /** By length, so that a URL is cut to each length that occurs. */
  readonly #prefixes = new Map<number, KeyMap<Mark>>();

  /** Number of the newest record that was noted; 0: none was. */
  newest = 0;

  /** Selectors that are remembered. */
  get size(): number {
    let size = this.#simple.reduce((sum, marks) => sum + marks.size, this.#variants.size);
    for (const [, marks] of this.#patterns.entries()) size += marks.length;
    return size;
  }

  /** Bytes in use, about. */
  get bytes(): number {
    let bytes = 0;
    for (const marks of this.#simple) for (const selector of marks.keys()) bytes += selector.length + MARK_BYTES;
    for (const [url, marks] of this.#variants.entries()) {
      bytes += url.length + MARK_BYTES;
      for (const { name, headers } of marks) {
        bytes += MARK_BYTES + headers.reduce((sum, text) => sum + text.length, name.length);
      }
    }
    for (const [, marks] of this.#patterns.entries()) {
      for (const { pattern } of marks) bytes += MARK_BYTES + pattern.length;
    }
    return bytes;
  }

  /** Content as it is now; another index can be made of a copy of it. */
  get state(): PurgeIndexState {
    return {
      newest: this.newest,
      everything: this.#everything,
      urls: [...this.#urls.entries()],
      tags: [...this.#tags.entries()],
      hosts: [...this.#hosts.entries()],
      sites: [...this.#sites.entries()],
      variants: [...this.#variants.entries()],
      patterns: [...this.#patterns.entries()],
      prefixes: [...this.#prefixes].map(([length, marks]) => [length, [...marks.entries()]]),
    };
  }

  /** @param state - A copy of another index's, which this one goes on with. */
  static restore(state: PurgeIndexState): PurgeIndex {
    const index = new PurgeIndex();
    index.newest = state.newest;
    Object.assign(index.#everything, state.everything);
    const fill = <T>(map: KeyMap<T>, entries: Entries<T>): KeyMap<T> => {
      for (const [name, value] of entries) map.set(name, value);
      return map;
    };
    fill(index.#urls, state.urls);
    fill(index.#tags, state.tags);
    fill(index.#hosts, state.hosts);
    fill(index.#sites, state.sites);
    fill(index.#variants, state.variants);
    fill(index.#patterns, state.patterns);
    for (const [length, marks] of state.prefixes) index.#prefixes.set(length, fill(new KeyMap<Mark>(), marks));
    return index;
  }

  note({ kind, selector, site, soft, seq }: PurgeRecord): void {
    this.newest = Math.max(this.newest, seq);
    const mark = this.#of(kind, selector, site);
    if (soft) mark.soft = seq;
    else mark.hard = seq;
  }

  /**
   * @param vary - Of the response; where it is not known, every variant may be it.
   * @param after - Patterns that were not named after this number may be left out.
   * @returns The marks that name the response.
   */
  match(
    { site, host, authority, target }: Purgeable,
    tags: readonly string[],
    vary: readonly VaryMember[] | undefined,
    after = 0,
  ): readonly Mark[] {
    const url = `//${authority}${target}`; // without scheme: a purge means both
    const found = [this.#everything, find(this.#urls, url), this.#hosts.get(host), this.#sites.get(site)];
    for (const [length, prefixes] of this.#prefixes) {
      if (length <= url.length) found.push(find(prefixes, url.slice(0, length)));
    }
    for (const tag of tags) found.push(find(this.#tags, tagKey(site, tag)));
    for (const mark of find(this.#variants, url) ?? []) {
      if (vary === undefined || matchesVary(vary, mark.headers)) found.push(mark);
    }
    if (this.#patterns.size > 0) {
      for (const mark of this.#patterns.get(site) ?? []) {
        if (newestOf(mark) > after && isMatch(mark.pattern, url)) found.push(mark);
      }
    }
    return found.filter((mark) => mark !== undefined);
  }

  /** Forgets what was not named since. */
  forgetUntil(seq: number): void {
    for (const marks of this.#simple) {
      for (const [selector, mark] of marks.entries()) if (newestOf(mark) <= seq) marks.delete(selector);
    }
    for (const [url, marks] of this.#variants.entries()) {
      if (marks.every((mark) => newestOf(mark) <= seq)) this.#variants.delete(url);
    }
    for (const [site, marks] of this.#patterns.entries()) {
      const rest = marks.filter((mark) => newestOf(mark) > seq);
      if (rest.length === 0) this.#patterns.delete(site);
      else this.#patterns.set(site, rest);
    }
    for (const [length, marks] of this.#prefixes) if (marks.size === 0) this.#prefixes.delete(length);
  }

  /** All but those of variants. */
  get #simple(): readonly KeyMap<Mark>[] {
    return [this.#urls, this.#tags, this.#hosts, this.#sites, ...this.#prefixes.values()];
  }

  #of(kind: PurgeRecord['kind'], selector: string, site: string): Mark {
    switch (kind) {
      case 'url':
        return markIn(this.#urls, selector);
      case 'variant':
        return this.#ofVariant(selector);
      case 'tag':
        return markIn(this.#tags, tagKey(site, selector));
      case 'host':
        return markIn(this.#hosts, selector);
      case 'site':
        return markIn(this.#sites, site);
      case 'everything':
        return this.#everything;
      case 'pattern':
        return this.#ofPattern(selector, site);
      case 'prefix': {
        const prefixes = this.#prefixes.get(selector.length) ?? new KeyMap<Mark>();
        this.#prefixes.set(selector.length, prefixes);
        return markIn(prefixes, selector);
      }
    }
  }

  #ofPattern(pattern: string, site: string): Mark {
    const known = this.#patterns.get(site) ?? [];
    const mark = known.find((one) => one.pattern === pattern) ?? { hard: 0, soft: 0, pattern };
    const marks = [...known.filter((one) => one !== mark), mark];
    const oldest = marks.length > MAX_PATTERNS ? marks.shift() : undefined;
    if (oldest !== undefined) {
      const whole = markIn(this.#sites, site);
      whole.hard = Math.max(whole.hard, oldest.hard);
      whole.soft = Math.max(whole.soft, oldest.soft);
    }
    this.#patterns.set(site, marks);
    return mark;
  }

  #ofVariant(selector: string): Mark {
    const parsed = readVariant(selector);
    if (parsed === undefined) return this.#everything; // unreadable: better too much than too little
    const { url, headers } = parsed;
    const marks = find(this.#variants, url) ?? [];
    const name = nameOf(selector);
    const known = marks.find((mark) => mark.name === name);
    if (known !== undefined) return known;
    const chars = headers.reduce((sum, text) => sum + text.length, 0);
    if (marks.length >= MAX_VARIANT_MARKS || chars > MAX_VARIANT_CHARS) return markIn(this.#urls, url);
    const mark = { hard: 0, soft: 0, name, headers };
    this.#variants.set(nameOf(url), [...marks, mark]);
    return mark;
  }
}

function newestOf({ hard, soft }: Mark): number {
  return Math.max(hard, soft);
}

function markIn(marks: KeyMap<Mark>, selector: string): Mark {
  const known = find(marks, selector);
  if (known !== undefined) return known;
  const mark = { hard: 0, soft: 0 };
  marks.set(nameOf(selector), mark);
  return mark;
}

function find<T>(marks: KeyMap<T>, selector: string): T | undefined {
  return marks.size === 0 ? undefined : marks.get(nameOf(selector));
}

/** @returns What the selector is kept under: itself, or, behind a character that is in none, its hash. */
function nameOf(selector: string): string {
  return selector.length <= MAX_NAME_CHARS ? selector : `\0${hash('sha256', selector, 'base64url')}`;
}

/** One site's tags are not another's. */
function tagKey(site: string, tag: string): string {
  return `${site}\n${tag}`;
}

function readVariant(selector: string): { readonly url: string; readonly headers: RawHeaders } | undefined {
  try {
    const { url, headers } = JSON.parse(selector) as { url?: unknown; headers?: unknown };
    const valid =
      typeof url === 'string' && Array.isArray(headers) && headers.every((text) => typeof text === 'string');
    return valid ? { url, headers } : undefined;
  } catch {
    return undefined; // not JSON
  }
}
