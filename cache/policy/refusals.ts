/**
 * Reasons not to store a response, or not to use a stored one. The same names in code, log, metric and Cache-Status
 * (promise P7).
 * @module
 */

/** Reasons not to store a response (RFC 9111, section 3, unless noted), and the settings that change it. */
export const STORE_REFUSAL_MEANINGS = {
  method: 'Only answers to GET are stored, and to a POST with a Content-Location of its own.',
  'rule-never': 'The rule of the site that counts here says `cache: never`.',
  'no-store': 'The origin says `no-store`. A rule with `origin_headers: ignore` and a `ttl` goes past it.',
  private: 'The origin says `private`. A rule with `origin_headers: ignore` and a `ttl` goes past it.',
  authorization:
    'The request has Authorization, and the origin does not declare the answer shareable (RFC 9111, section 3.5).',
  cookies:
    'The request has cookies that are not in the key, and the origin does not declare the answer shareable. ' +
    'Name those that change nothing in `ignored_cookies`, those that matter in `key.cookies`.',
  'set-cookie':
    'The answer sets a cookie, and nothing declares it shareable: the origin may say `public` or `s-maxage`, a ' +
    'rule `set_cookie: store`.',
  'vary-star': 'The answer has `Vary: *`, which no other request matches (section 4.1).',
  status: 'This status is kept only with a lifetime: from the origin, or from a rule that names `status` and `ttl`.',
  'no-freshness':
    'There is neither a lifetime nor a validator, so nothing could be used again. Have the origin send Cache-Control, ' +
    'or give the path a rule with `ttl`; a rule for files counts only for their Content-Type (`type_guard`).',
  partial: 'A part (206) of which it is not known where it belongs (section 3.4), or a 416.',
  'too-large': 'The body is larger than `max_object`.',
  tags: 'The answer has more tags than can be kept, or one that is too long: a purge might miss it.',
  'no-memory': 'There is no room for it in the memory of the node (`memory`).',
  incomplete: 'The body broke off.',
  'not-hot':
    'Another edge, or another worker of this one, owns the key and keeps the answer; this one keeps a copy of what is ' +
    'asked for often (`limits.hot_after`).',
  'request-no-store': 'The request says `no-store`, and a rule lets it (`request_directives: honour`).',
} as const;

export type StoreRefusal = keyof typeof STORE_REFUSAL_MEANINGS;

export const STORE_REFUSALS = Object.keys(STORE_REFUSAL_MEANINGS) as readonly StoreRefusal[];

/** Refusals of what is for one visitor only. */
export const PERSONAL_REFUSALS: ReadonlySet<string | undefined> = new Set<StoreRefusal>(['authorization', 'cookies']);

/** Reasons why no stored response answered: the `fwd` parameter of Cache-Status (RFC 9211, section 2.2). */
export const FORWARD_REASON_MEANINGS = {
  bypass: 'What is stored is not for this request, as a rule says `cache: never`, or as it has cookies or credentials.',
  method: 'The method is neither GET nor HEAD.',
  'uri-miss': 'Nothing is stored under this key.',
  'vary-miss': 'What is stored was made for other request headers (`Vary`).',
  request:
    'What the request itself says: a body, a precondition, an allowed header, or Cache-Control where that counts.',
  stale: 'What is stored has outlived its lifetime, or was purged softly. `fwd-status=304`: it is as good as new.',
  partial: 'What is stored is a part, and not the one that is asked for.',
} as const;

export type ForwardReason = keyof typeof FORWARD_REASON_MEANINGS;

export const FORWARD_REASONS = Object.keys(FORWARD_REASON_MEANINGS) as readonly ForwardReason[];

/** Other circumstances of an answer: the `detail` parameter if there is neither a refusal nor an error. */
export const DETAIL_MEANINGS = {
  'hot-copy': 'A hit from the copy that an edge keeps of what another one owns.',
  disk: 'A hit that was on disk and not in memory, where it is now.',
  stale: 'A hit that is stale: the request takes that (`max-stale`, with `request_directives: honour`).',
  'stale-while-revalidate': 'A hit that is stale; a new answer is being fetched in the background.',
  'stale-if-error': 'The origin failed, or did not answer within `stale_after`, and the stored answer stands in.',
  unverified: 'As `stale-if-error`, beyond the lease: a purge may have named it (`purges.without_journal`).',
  purged: 'The answer to the method PURGE.',
  redirect: 'A redirect of the site (`redirect`, `geo.redirect`), made by the edge.',
  'max-forwards': 'The answer to OPTIONS with `Max-Forwards: 0`, which goes no further.',
} as const;

export type OtherDetail = keyof typeof DETAIL_MEANINGS;
