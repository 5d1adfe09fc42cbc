/**
 * The origin: a version for each URL, which an editor changes, and what it
 * says about caching. Every answer tells which request it answers.
 * @module
 */
import { fieldValue, type RawHeaders } from '../../http/fields/headers.ts';
import type { UpstreamRequest } from '../../http/message.ts';
import type { Clock } from './clock.ts';
import { type Profile, URLS } from './history.ts';
import type { Place, Reply } from './network.ts';
import type { Oracle } from './oracle.ts';

/** Number of the request to the origin that an answer comes from, or that validated it. */
export const FETCH_FIELD = 'X-Fetch';

const FIRST_PROFILE: Profile = {
  directives: 'max-age=60',
  etag: 'strong',
  tags: ['t0'],
  vary: false,
  status: 200,
  sized: true,
};

export class Origin implements Place {
  readonly name = 'origin';
  readonly life = 1;
  readonly frozenUntil = 0;
  readonly exchanges = new Set<never>();
  readonly #clock: Clock;
  readonly #oracle: Pick<Oracle, 'sent'>;
  readonly #pages = URLS.map(() => ({ version: 1, profile: FIRST_PROFILE }));
  #failing: { readonly how: 'error' | 'reset'; readonly until: number } | undefined;

  constructor(clock: Clock, oracle: Pick<Oracle, 'sent'>) {
    this.#clock = clock;
    this.#oracle = oracle;
  }

  version(url: number): number {
    return this.#page(url).version;
  }

  change(url: number, profile: Profile): void {
    const page = this.#page(url);
    page.version++;
    page.profile = profile;
  }

  fail(how: 'error' | 'reset', ms: number): void {
    this.#failing = { how, until: this.#clock.now + ms };
  }

  heal(): void {
    this.#failing = undefined;
  }

  answer(fetch: number, request: UpstreamRequest, reply: Reply): void {
    const host = fieldValue(request.headers, 'host');
    const url = URLS.findIndex((known) => known.host === host && known.target === request.target);
    if (this.#failing !== undefined && this.#failing.until > this.#clock.now) {
      this.#oracle.sent(url, 'broken');
      if (this.#failing.how === 'reset') reply.onError('origin_unreachable');
      else this.#say(reply, request, 503, [FETCH_FIELD, String(fetch)], 'broken');
      return;
    }
    const { version, profile } = this.#page(url);
    const language = profile.vary ? (fieldValue(request.headers, 'accept-language') ?? '') : '';
    const etag = etagOf(profile, `${url}.${version}.${language}`);
    const headers = [FETCH_FIELD, String(fetch), 'Cache-Control', profile.directives];
    if (etag !== undefined) headers.push('ETag', etag);
    if (profile.tags.length > 0) headers.push('Cache-Tag', profile.tags.join(','));
    if (profile.vary) headers.push('Vary', 'Accept-Language');
    if (etag !== undefined && fieldValue(request.headers, 'if-none-match') === etag) {
      this.#say(reply, request, 304, headers, undefined);
      return;
    }
    const body = `${url} ${version} ${language}`;
    this.#oracle.sent(url, body);
    if (profile.sized) headers.push('Content-Length', String(body.length));
    this.#say(reply, request, profile.status, headers, body);
  }

  #say(reply: Reply, request: UpstreamRequest, status: number, headers: RawHeaders, body: string | undefined): void {
    reply.onHead({ status, statusText: '', headers });
    reply.onEnd(body === undefined || request.method === 'HEAD' ? undefined : Buffer.from(body));
  }

  #page(url: number): { version: number; profile: Profile } {
    return this.#pages[url] as { version: number; profile: Profile };
  }
}

function etagOf({ etag }: Profile, name: string): string | undefined {
  switch (etag) {
    case 'strong':
      return `"${name}"`;
    case 'weak':
      return `W/"${name}"`;
    case 'none':
      return undefined;
  }
}
