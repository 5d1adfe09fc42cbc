/**
 * Forms in which a stored response may be sent: as it is stored, or in one of its encodings. Each encoding is a
 * response of its own, derived from the stored one: whatever purges, invalidations and a 304 do to that, they do to it.
 *
 * Ranges are of the stored form only.
 * @module
 */
import type { CompiledRules } from '../../config/match.ts';
import type { AcceptedCodings, Coding } from '../../http/fields/content-coding.ts';
import { encodedTag, namedForm, plainTag } from '../../http/fields/encoded-tag.ts';
import { firstLine, withField, withoutFields } from '../../http/fields/headers.ts';
import { isEncodable } from '../policy/encoding.ts';
import type { RuledPath } from '../stored-facts.ts';
import { type Encoding, isComplete, type StoredResponse } from '../stored-response.ts';

/** An encoding that is still to be made. */
export interface WantedEncoding {
  readonly coding: Coding;
  readonly isFast: boolean;
}

/** Hits of a fast encoding, in one thread, after which a smaller one is made. */
const HOT_AFTER = 16;

/** Answer to requests that accept the same codings. */
export interface Choice {
  readonly accepted: AcceptedCodings;
  readonly response: StoredResponse;
  readonly wanted: WantedEncoding | undefined;
  /** Hits until it is asked for. */
  hitsLeft: number;
}

/** Caches what follows from a stored response and the site's rules; kept on the response. */
export class EncodedForms {
  readonly #stored: StoredResponse;
  readonly #rules: CompiledRules;
  readonly isEncodable: boolean;
  readonly #responses = new Map<Encoding, StoredResponse>();
  #choice: Choice | undefined;

  constructor(stored: StoredResponse, { rules, path }: RuledPath) {
    const { compression } = rules;
    this.#stored = stored;
    this.#rules = rules;
    this.isEncodable =
      compression !== undefined &&
      rules.cookiesAt(path).mode !== 'key' && // each visitor may have a copy of its own
      stored.generation === undefined &&
      stored.trailers.length === 0 &&
      isComplete(stored) &&
      isEncodable(stored, compression, stored.length);
  }

  isFor(stored: StoredResponse, rules: CompiledRules): boolean {
    return this.#stored === stored && this.#rules === rules;
  }

  /** Form for requests that accept these codings, without conditions. */
  choose(accepted: AcceptedCodings): Choice {
    if (this.#choice?.accepted === accepted) return this.#choice;
    const choice = this.#make(accepted);
    this.#choice = choice;
    return choice;
  }

  /** The form that an If-None-Match names, so that the visitor keeps what it has; its body need not be there. */
  named(ifNoneMatch: string): StoredResponse | undefined {
    if (this.#stored.status !== 200) return undefined; // it has no conditions (RFC 9110, section 13.2.1)
    const tag = firstLine(this.#stored.headers, 'etag');
    const named = tag === undefined ? undefined : namedForm(ifNoneMatch, tag);
    if (named === undefined || plainTag(named) !== tag) return named === undefined ? undefined : this.#stored;
    return { ...this.#stored, headers: withField(this.#stored.headers, 'ETag', named), encodings: undefined };
  }

  #make(accepted: AcceptedCodings): Choice {
    const { encodings = [] } = this.#stored;
    const isUseless = encodings.some(({ body }) => body === undefined); // one that is no smaller: the others are none
    const [preferred] = accepted.order;
    if (!this.isEncodable || isUseless || preferred === undefined) {
      return { accepted, response: this.#stored, wanted: undefined, hitsLeft: 0 };
    }
    const usable = accepted.order.flatMap((coding) => encodings.find((one) => one.coding === coding) ?? []);
    const [best] = usable;
    const response = best === undefined ? this.#stored : this.#responseOf(best);
    const isPreferred = best?.coding === preferred;
    if (isPreferred && !best.isFast) return { accepted, response, wanted: undefined, hitsLeft: 0 };
    const wanted = { coding: preferred, isFast: !isPreferred };
    return { accepted, response, wanted, hitsLeft: isPreferred ? HOT_AFTER : 1 };
  }

  #responseOf(encoding: Encoding): StoredResponse {
    const known = this.#responses.get(encoding);
    if (known !== undefined) return known;
    const response = encodedResponse(this.#stored, encoding);
    this.#responses.set(encoding, response);
    return response;
  }
}

/** Fields of the stored form that its encodings have not: there are no ranges of them. */
const OF_STORED_FORM: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'accept-ranges']);

function encodedResponse(stored: StoredResponse, { coding, isFast, body }: Encoding): StoredResponse {
  if (body === undefined) return stored;
  const length = body.ranges[0]?.end ?? 0;
  const tag = firstLine(stored.headers, 'etag');
  const kept = withoutFields(stored.headers, OF_STORED_FORM);
  const tagged = tag === undefined ? kept : withField(kept, 'ETag', encodedTag(tag, coding, isFast));
  const headers = [...tagged, 'Content-Encoding', coding, 'Content-Length', String(length)];
  const caches = { encodings: undefined, facts: undefined, prepared: undefined, forms: undefined };
  return { ...stored, ...caches, headers, length, body };
}

/** @param request - Whose path is one under whose key the response is stored. */
export function formsOf(stored: StoredResponse, request: RuledPath): EncodedForms {
  const known = stored.forms;
  if (known instanceof EncodedForms && known.isFor(stored, request.rules)) return known;
  const forms = new EncodedForms(stored, request);
  stored.forms = forms;
  return forms;
}
