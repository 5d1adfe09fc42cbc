/**
 * Reasons, test by test, for following the RFC where the suite differs from it.
 *
 * An argument is for a test that Seawall fails on purpose. A test that fails
 * without one is a gap, and docs/conformance.md says so.
 * @module
 */

export interface Argument {
  /** Common subject of the tests. */
  readonly title: string;
  /** The text that decides. */
  readonly rfc: string;
  readonly argument: string;
  /** The revisions of the suite, by name, that the argument is about. */
  readonly suites: readonly string[];
}

const BOTH = ['newest', '0.4.5'];
const OLD = ['0.4.5'];

const INVALID_AGE: Argument = {
  title: 'An Age that is not a number',
  rfc: 'RFC 9111, section 5.1',
  argument:
    'The tests want a response with `Age: abc`, `-7200`, `7200.0` or `7200;foo=bar` to be stale. Section 5.1 says of a value that is not a non-negative integer: "a cache SHOULD ignore the field". Without the field the response is fresh. The newest revision of the suite wants that too and no longer requires anything of parameters; 0.4.5 is older than the RFC.',
  suites: OLD,
};

const AGE_PARAMETER: Argument = { ...INVALID_AGE, suites: BOTH };

const LIST_OF_AGES: Argument = {
  title: 'More than one Age',
  rfc: 'RFC 9111, section 5.1',
  argument:
    'The tests want a response with two `Age` values to be stale even when the first is below its lifetime. Section 5.1: a cache that meets a list "SHOULD use the first member of the field value, discarding subsequent ones". The first member leaves these responses fresh, and the newest revision of the suite agrees.',
  suites: OLD,
};

const STALE_CLOSE: Argument = {
  title: 'No stale answer, and no other answer either',
  rfc: 'RFC 9111, sections 4.2.4 and 5.2.2',
  argument:
    'The origin hangs up instead of validating a stale response that must not be used stale. The tests want an answer that carries the origin’s counter for this very request, which the origin never sent, so no proxy can pass. Section 4.2.4 forbids the stale answer, and section 5.2.2.2 says what to do instead: "if a cache is disconnected, the cache MUST generate an error response rather than reuse the stale response". That is what Seawall does. The newest revision accepts any answer that is not the stale one, and Seawall passes there.',
  suites: OLD,
};

const NEW_ETAG_IN_304: Argument = {
  title: 'A 304 with another strong ETag',
  rfc: 'RFC 9111, section 4.3.4',
  argument:
    'The origin answers `If-None-Match: "abcdef"` with a 304 whose `ETag` is `"ghijkl"`. Section 4.3.4: each strong validator in the 304 identifies what it is about, and if no stored response has it, "the cache MUST NOT use the new response to update any stored responses". The test wants the stored response updated all the same: without its ETag in 0.4.5, with it (and only as a question) in the newest revision.',
  suites: BOTH,
};

const CONTENT_MD5_IN_304: Argument = {
  title: 'Content-MD5 in a 304',
  rfc: 'RFC 9111, section 3.2',
  argument:
    'The test wants this field to be kept as it was when a 304 brings another value. Section 3.2: the cache "MUST add each header field in the provided response to the stored response, replacing field values that are already present"; it may leave out what the integrity of the stored bytes hangs on, and "the Content-* prefix is not a signal that a header field is omitted from update". Nothing in Seawall hangs on Content-MD5. The newest revision asks for the opposite of 0.4.5.',
  suites: OLD,
};

const NO_LAST_MODIFIED: Argument = {
  title: 'If-Modified-Since without a Last-Modified',
  rfc: 'RFC 9111, section 4.3.2, and RFC 9110, section 13.1.3',
  argument:
    'The stored response has no `Last-Modified`; its `Date` is 3000 seconds later than the request’s `If-Modified-Since`, and the test wants a 304. Section 4.3.2 takes `Date` instead of the missing date: it is not "earlier or equal to the date provided", so the condition is true and the answer is a 200. By section 13.1.3 alone a recipient "MUST ignore" the field when no modification date is available: also a 200. No reading gives 304, and a client that believed it would keep content that may be older than what is stored. Reported as http-tests/cache-tests issue 204.',
  suites: BOTH,
};

const WRONG_RANGE: Argument = {
  title: 'A part that is not the part it claims to be',
  rfc: 'RFC 9110, sections 14.4 and 15.3.7.1',
  argument:
    'The origin answers `Range: bytes=-5` with `Content-Range: bytes 4-9/10`, which are six bytes, and with five bytes of content. A 206 has to hold "a content consisting of the range" (section 15.3.7.1), so it is unknown which bytes these are; the tests do not agree either: one wants byte 8 to be `4`, another byte 9. Seawall passes such a response on and does not store it, since every later answer made from it could be wrong bytes under a right label.',
  suites: BOTH,
};

const COMPLETE_WITHOUT_VALIDATOR: Argument = {
  title: 'Completing a part without a validator',
  rfc: 'RFC 9111, sections 3.3 and 3.4',
  argument:
    'A 206 without `ETag` or `Last-Modified` is stored (its `Content-Range: bytes 0-4/10` is not even what `bytes=-5` asked for), and the test wants the next request for the whole to be sent on as `Range: bytes=5-`. Parts may be combined only "if they all share the same strong validator" (section 3.4). With none to compare, nothing that comes back could be joined with what is there; the request would have to be made again. Seawall asks for the whole at once.',
  suites: BOTH,
};

const CHOSEN_LANGUAGE: Argument = {
  title: 'Choosing a language for the origin',
  rfc: 'RFC 9111, section 4.1',
  argument:
    'A response with `Vary: Accept-Language` was stored for `en, de`; the test wants it used for `fr;q=0.5, de;q=1.0` because its `Content-Language` is `de`. A cache "MUST NOT use that stored response without revalidation unless" the two field values match, and they match "if and only if" one becomes the other by whitespace, by combining lines, or by a normalisation "known to have identical semantics". These two mean different things: what the origin has for the second list, only the origin knows. The q-values in section 4.1 choose among several responses that match; none does.',
  suites: BOTH,
};

export const ARGUMENTS: Readonly<Record<string, Argument>> = {
  'age-parse-nonnumeric': INVALID_AGE,
  'age-parse-negative': INVALID_AGE,
  'age-parse-float': INVALID_AGE,
  'age-parse-parameter': AGE_PARAMETER,
  'age-parse-numeric-parameter': AGE_PARAMETER,
  'age-parse-prefix-twoline': LIST_OF_AGES,
  'age-parse-dup-0': LIST_OF_AGES,
  'age-parse-dup-0-twoline': LIST_OF_AGES,
  'age-parse-dup-old': LIST_OF_AGES,
  'stale-close-must-revalidate': STALE_CLOSE,
  'stale-close-proxy-revalidate': STALE_CLOSE,
  'stale-close-no-cache': STALE_CLOSE,
  'stale-close-s-maxage=2': STALE_CLOSE,
  '304-etag-update-response-ETag': NEW_ETAG_IN_304,
  '304-etag-update-response-Content-MD5': CONTENT_MD5_IN_304,
  'conditional-lm-fresh-no-lm': NO_LAST_MODIFIED,
  'partial-store-partial-reuse-partial': WRONG_RANGE,
  'partial-store-partial-reuse-partial-byterange': WRONG_RANGE,
  'partial-store-partial-reuse-partial-absent': WRONG_RANGE,
  'partial-store-partial-reuse-partial-suffix': WRONG_RANGE,
  'partial-store-partial-complete': COMPLETE_WITHOUT_VALIDATOR,
  'vary-normalise-lang-select': CHOSEN_LANGUAGE,
};

/** @returns The argument for failing this test of this suite, if there is one. */
export function argumentFor(suiteName: string, id: string): Argument | undefined {
  const argument = Object.hasOwn(ARGUMENTS, id) ? ARGUMENTS[id] : undefined;
  return argument?.suites.includes(suiteName) ? argument : undefined;
}
